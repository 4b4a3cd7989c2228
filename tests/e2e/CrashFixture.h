#pragma once

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/e2e/Service.h"
#include "tests/fakes/LaterClock.h"

namespace gridbridge::testing {

inline constexpr int kLines = 40;
inline constexpr auto kRegistrationToken = "GR1348941crash";
inline constexpr auto kSecret = "s3cr3t-of-this-job";
inline constexpr auto kRunnerToken = "glrt-of-the-crash-tests";
inline constexpr auto kJobTokens = "glcbt-";  ///< What each begins with.
/// Those that every job comes to: `marked` is RecoveryEndToEnd's.
inline constexpr auto kPoints = {
    "received-uncommitted", "received", "intent",    "effect-done", "id-stored", "trace-written",
    "trace-committed",      "patched",  "collected", "reported",    "settled",   "released"};

/// A service that is killed, and jobs of which everything is known.
class CrashEndToEnd : public EndToEnd {
protected:
    using JobId = fakegitlab::JobId;
    using Status = fakegitlab::Status;

    /// Jobs that print numbered lines and a secret, and count their own starts in a file.
    void addJobs(int count) {
        for (int i = static_cast<int>(ids.size()); count > 0; ++i, --count) {
            const auto runs = (folder.path / ("runs." + std::to_string(i))).string();
            fakegitlab::JobSpec job{.script = {"echo x >> " + runs, "echo x > result",
                                               "for i in $(seq " + std::to_string(kLines) +
                                                   "); do echo \"line $i $KEY\"; sleep 0.05; done"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                                                  {.key = "KEY", .value = kSecret, .masked = true}},
                                    .artifacts = {{.paths = {"result"}}}};
            vary(i, job);
            ids.push_back(gitlab->addJob(job));
        }
    }
    /// What the job with this index has of its own.
    virtual void vary(int, fakegitlab::JobSpec&) const {}
    static std::string expectedLines() {
        std::string text;
        for (int i = 1; i <= kLines; ++i) {
            text += "line " + std::to_string(i) + " [MASKED]\n";
        }
        return text;
    }
    /// Script output: after the echo of the last item, before the end of its section.
    static std::string scriptLines(const std::string& trace) {
        std::string text;
        std::istringstream in(plain(trace));
        for (std::string line; std::getline(in, line);) {
            if (line.starts_with("line ")) {
                text += line + "\n";
            }
        }
        return text;
    }
    /// A killed service asks once more how a report went.
    void prepare(int jobs, int callsAfterEnd = 2, bool requireChecksum = true) {
        auto lenient = options();
        lenient.callsAfterEnd = callsAfterEnd;
        lenient.requireChecksum = requireChecksum;
        lenient.registrationToken = kRegistrationToken;
        gitlab.emplace(later, lenient);
        gitlab->addRunner(kRunnerToken);
        service.emplace(gitlab->url(), folder.path);
        auto config = readFile(service->config());
        const std::string usual = "glrt-test";
        writeFile(service->config(),
                  config.replace(config.find(usual), usual.size(), kRunnerToken));
        addJobs(jobs);
    }
    /// Of the claims, those that no row with GitLab's number has.
    std::set<JobId> withoutRow() {
        std::set<JobId> claimed;
        for (const auto id : ids) {
            if (gitlab->job(id).claimedAt) {
                claimed.insert(id);
            }
        }
        std::istringstream rows(service->sql("SELECT gitlab_id FROM job WHERE gitlab_id > 0"));
        for (JobId id = 0; rows >> id;) {
            claimed.erase(id);
        }
        return claimed;
    }
    /// With the service killed at that moment: what GitLab has handed out and the database does
    /// not have is lost. It may be when its 201 was not delivered whole, or when it was in hand:
    /// handed out just before the kill, and the claimer has not asked for another since.
    void takeStock(WallTime killedAt) {
        constexpr std::chrono::seconds kInHand{30};
        // GitLab does not notice that somebody died: it answers what had been sent.
        ASSERT_TRUE(gitlab->waitUntilAlone());
        std::set<std::pair<WallTime, JobId>> delivered;
        for (const auto id : withoutRow()) {
            const auto job = gitlab->job(id);
            if (!job.claimDelivered) {
                lost.insert(id);
            } else if (lost.count(id) == 0) {
                delivered.emplace(*job.claimedAt, id);
            }
        }
        // Rows that nobody has decoded yet are claims in their order; what lacks is the last.
        const auto undecoded =
            service->sql("SELECT count(*) FROM job WHERE coalesce(gitlab_id, 0) = 0");
        auto lacking = static_cast<int>(delivered.size()) - std::stoi("0" + undecoded);
        EXPECT_LE(lacking, 1) << "claims lost in one kill";
        for (auto claim = delivered.rbegin(); lacking > 0; ++claim, --lacking) {
            EXPECT_EQ(claim->first, lastClaim()) << claim->second << " was lost before the kill";
            EXPECT_GE(claim->first, killedAt - kInHand) << claim->second << " was not in hand";
            lost.insert(claim->second);
        }
    }
    WallTime lastClaim() const {
        WallTime last{};
        for (const auto id : ids) {
            last = std::max(last, gitlab->job(id).claimedAt.value_or(WallTime{}));
        }
        return last;
    }
    void kill() {
        const auto now = later.wallNow();
        service->killHard();
        takeStock(now);
    }
    void killAt(const std::string& point, int time) {
        service->start({{"GRIDBRIDGE_CRASH_POINT", point + ":" + std::to_string(time)}});
        EXPECT_EQ(service->wait(), 137) << point << " was never reached";
        takeStock(later.wallNow());
    }
    /// Until every job that is not among the lost ones is done.
    void settle() {
        const auto expected = std::to_string(ids.size() - lost.size()) + "\n";
        const auto done = [&] {
            return service->sql("SELECT count(*) FROM job WHERE state = 'done'");
        };
        // As long as there is progress: a report may be waiting for its turn after many failures.
        for (std::string before; before != done();) {
            before = done();
            gitlab->waitUntil([&] { return done() == expected; }, std::chrono::seconds(70));
        }
        ASSERT_EQ(done(), expected) << "all but " << lost.size() << " lost claims";
    }
    void check() {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto job = gitlab->job(ids[i]);
            const auto runs = readFile(folder.path / ("runs." + std::to_string(i)));
            if (lost.count(ids[i]) > 0) {
                EXPECT_EQ(runs, "") << "a lost claim must never start";
                EXPECT_EQ(job.status, Status::Running) << ids[i];
                continue;
            }
            EXPECT_EQ(job.status, Status::Success) << ids[i];
            EXPECT_EQ(job.acceptedFinals, 1) << ids[i];
            EXPECT_EQ(runs, "x\n") << ids[i];
            EXPECT_EQ(scriptLines(job.trace), expectedLines()) << ids[i];
            EXPECT_EQ(job.artifacts.size(), 1U) << ids[i];
            EXPECT_EQ(job.trace.find(kSecret), std::string::npos);
            const auto key = service->sql(
                "SELECT 'gb-' || (SELECT id FROM installation) || '-' || id FROM job WHERE "
                "gitlab_id = " +
                std::to_string(ids[i]));
            EXPECT_EQ(
                readFile(service->stateDir() / "traces" / (key.substr(0, key.size() - 1) + ".log")),
                job.trace)
                << ids[i];
        }
        EXPECT_EQ(gitlab->violations(), std::vector<std::string>{});
        strict = false;  // The silence about the lost ones is what it must find now.
        later.ahead = std::chrono::minutes(31);
        gitlab->runReapers();
        for (const auto id : lost) {
            EXPECT_EQ(gitlab->status(id), Status::Failed) << "a lost claim is reaped";
        }
        EXPECT_EQ(service->log().find(kSecret), std::string::npos);
        EXPECT_EQ(service->sql("SELECT count(*) FROM job_secret"), "0\n");
        for (const auto& record :
             std::filesystem::directory_iterator(service->workDir() / ".local")) {
            EXPECT_EQ(record.path().filename(), ".probe") << "a job is still known";
        }
    }

    LaterClock later;
    std::vector<JobId> ids;
    std::set<JobId> lost;
};

inline std::string pointName(const ::testing::TestParamInfo<const char*>& point) {
    std::string name = point.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

}  // namespace gridbridge::testing
