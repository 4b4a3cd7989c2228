// kill -9 at every crash point and at random moments, and all that a network can do at once:
// nothing lost, nothing doubled, no byte wrong, no secret out.
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "tests/e2e/ArgumentWatch.h"
#include "tests/e2e/Service.h"
#include "tests/fakes/LaterClock.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::FaultKind;
using fakegitlab::JobId;
using fakegitlab::Status;

constexpr int kJobs = 20;
constexpr int kLines = 40;
constexpr auto kRegistrationToken = "GR1348941crash";
constexpr auto kSecret = "s3cr3t-of-this-job";
constexpr auto kRunnerToken = "glrt-of-the-crash-tests";
constexpr auto kJobTokens = "glcbt-";  ///< What each begins with.
/// Those that every job comes to: `marked` is RecoveryEndToEnd's.
constexpr auto kPoints = {
    "received-uncommitted", "received", "intent",    "effect-done", "id-stored", "trace-written",
    "trace-committed",      "patched",  "collected", "reported",    "settled",   "released"};

class CrashEndToEnd : public EndToEnd {
protected:
    /// Jobs that print numbered lines and a secret, and count their own starts in a file.
    void addJobs(int count) {
        for (int i = static_cast<int>(ids.size()); count > 0; ++i, --count) {
            const auto runs = (folder.path / ("runs." + std::to_string(i))).string();
            ids.push_back(
                gitlab->addJob({.script = {"echo x >> " + runs, "echo x > result",
                                           "for i in $(seq " + std::to_string(kLines) +
                                               "); do echo \"line $i $KEY\"; sleep 0.05; done"},
                                .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                                              {.key = "KEY", .value = kSecret, .masked = true}},
                                .artifacts = {{.paths = {"result"}}}}));
        }
    }
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

std::string pointName(const ::testing::TestParamInfo<const char*>& point) {
    std::string name = point.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

class CrashPoint : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashPoint, LosesNothingDoublesNothing) {
    prepare(4);
    const std::string point = GetParam();
    killAt(point, 2);
    // At these two the claimer itself is killed; at the others it may have a claim in hand.
    if (point == "received-uncommitted") {
        EXPECT_EQ(lost.size(), 1U);
    } else if (point == "received") {
        EXPECT_EQ(lost.size(), 0U);
    }

    service->start();
    settle();
    check();
}

INSTANTIATE_TEST_SUITE_P(EachPoint, CrashPoint, ::testing::ValuesIn(kPoints), [](const auto& p) {
    std::string name = p.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

/// kill -9, and the disk has kept of the logs what it happened to write; every commit of the
/// database is on it.
class PowerLoss : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {
protected:
    /// Cuts every trace anywhere; the jobs that GitLab has not seen end and whose trace is now
    /// shorter than was committed.
    std::set<JobId> cutTraces(std::mt19937& random) {
        std::set<JobId> shortened;
        for (const auto& trace :
             std::filesystem::directory_iterator(service->stateDir() / "traces")) {
            const auto size = trace.file_size();
            const auto kept = size == 0 ? 0 : random() % size;
            std::filesystem::resize_file(trace.path(), kept);
            const auto stem = trace.path().stem().string();
            const auto row = stem.substr(stem.rfind('-') + 1);
            const auto id =
                std::stoll("0" + service->sql("SELECT gitlab_id FROM job WHERE id = " + row +
                                              " AND trace_length > " + std::to_string(kept)));
            if (id != 0 && !isEnded(gitlab->status(id))) {
                shortened.insert(id);
            }
        }
        return shortened;
    }
    void checkTrace(JobId id) {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.acceptedFinals, 1) << id;
        EXPECT_EQ(job.trace.find('\0'), std::string::npos) << id;
        EXPECT_EQ(job.trace.find(kSecret), std::string::npos) << id;
        EXPECT_EQ(lastLine(job), "Job succeeded") << id;
        const auto key = service->sql(
            "SELECT 'gb-' || (SELECT id FROM installation) || '-' || id FROM job WHERE gitlab_id "
            "= " +
            std::to_string(id));
        const auto here =
            readFile(service->stateDir() / "traces" / (key.substr(0, key.size() - 1) + ".log"));
        ASSERT_EQ(here.size(), job.trace.size()) << id;
        for (std::size_t at = 0; at < here.size(); ++at) {
            ASSERT_TRUE(here[at] == job.trace[at] || here[at] == '\0') << id << " at " << at;
        }
    }
};

TEST_P(PowerLoss, LogsGoOnWhereGitLabsCopyEnds) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(4, 2, false);
    const std::string point = GetParam();
    killAt(point, 2);
    const auto shortened = cutTraces(random);
    std::cout << shortened.size() << " logs shortened" << std::endl;
    if (point == "trace-committed" || point == "collected") {
        EXPECT_GT(shortened.size(), 0U) << "an open job has a log that was committed";
    }
    std::map<JobId, std::string> seen;
    for (const auto id : ids) {
        seen[id] = gitlab->job(id).trace;
    }

    service->start();
    settle();

    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (lost.count(ids[i]) > 0) {
            continue;
        }
        const auto job = gitlab->job(ids[i]);
        EXPECT_EQ(readFile(folder.path / ("runs." + std::to_string(i))), "x\n");
        EXPECT_EQ(job.trace.substr(0, seen[ids[i]].size()), seen[ids[i]])
            << "what was sent changed";
        EXPECT_EQ(says(job, " bytes of this log here, perhaps with its power: "),
                  shortened.count(ids[i]) > 0)
            << ids[i];
        if (seen[ids[i]].find("Job succeeded") == std::string::npos) {
            checkTrace(ids[i]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(EachPoint, PowerLoss, ::testing::ValuesIn(kPoints), pointName);

/// Every fault of the stand-in, at growing rates until it has struck often enough, under kills.
class StormEndToEnd : public CrashEndToEnd {
protected:
    struct Size {
        int jobs = 8;
        int kills = 4;
        std::uint64_t strikes = 1;
        bool atPoints = false;
    };
    /// GRIDBRIDGE_STORM=full is the size for a person who has some minutes.
    static Size size() {
        const char* wanted = std::getenv("GRIDBRIDGE_STORM");
        return wanted == nullptr ? Size{} : Size{40, 25, 5, true};
    }
    std::vector<FaultKind> missing() const {
        std::vector<FaultKind> kinds;
        for (const auto& [kind, count] : gitlab->faults()) {
            if (count < wanted.strikes && kind != FaultKind::TokenAnswerLost) {
                kinds.push_back(kind);
            }
        }
        return kinds;
    }
    /// Those that struck often enough rest, the others come more often.
    void blow() {
        constexpr double kStep = 0.02;
        constexpr double kMost = 0.5;
        const auto wantedStill = missing();
        for (std::size_t i = 0; i < fakegitlab::kFaultKinds; ++i) {
            const auto kind = static_cast<FaultKind>(i);
            const bool on = std::count(wantedStill.begin(), wantedStill.end(), kind) > 0;
            auto& rate = rates[kind];
            rate = on ? std::min(kMost, rate + kStep) : 0;
            gitlab->setFault(kind, rate);
        }
    }
    /// Somebody claims, prints and ends at any time of the storm.
    void keepBusy() {
        const auto pending = std::count_if(ids.begin(), ids.end(), [&](JobId id) {
            return gitlab->status(id) == Status::Pending;
        });
        addJobs(pending < 4 ? 4 : 0);
    }
    void killAtEachPoint() {
        for (const std::string point : kPoints) {
            keepBusy();
            blow();
            killAt(point, 1);
        }
    }
    void killAtRandom(std::mt19937& random) {
        for (int round = 0; round < wanted.kills; ++round) {
            keepBusy();
            blow();
            service->start();
            // The moment is the point of the test: any moment will do.
            clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
            kill();
        }
    }
    void untilEverythingStruck() {
        constexpr std::chrono::seconds kPause{2};
        constexpr int kPauses = 5;
        const auto end = clock.steadyNow() + std::chrono::minutes(10);
        while (!missing().empty() && clock.steadyNow() < end) {
            // A service that has just started asks at once; one that has met many faults in a row
            // would ask once a minute, and hardly meet the rest.
            service->start();
            for (int i = 0; i < kPauses && !missing().empty(); ++i) {
                keepBusy();
                blow();
                gitlab->waitUntil([&] { return missing().empty(); }, kPause);
            }
            kill();
        }
    }
    void loseTokens() {
        for (std::uint64_t i = 0; i < wanted.strikes; ++i) {
            gitlab->failNext(FaultKind::TokenAnswerLost, 1, fakegitlab::Call::Runners);
            int code = 0;
            service->command({"register", "--name", "extra", "--url", gitlab->url(), "--backend",
                              "here", "--registration-token", kRegistrationToken},
                             &code);
            EXPECT_EQ(code, 75);
        }
    }
    void tell() const {
        for (const auto& [kind, count] : gitlab->faults()) {
            std::cout << "  " << nameOf(kind) << ": " << count << '\n';
            EXPECT_GE(count, wanted.strikes) << nameOf(kind) << " did not strike often enough";
        }
        for (const auto id : lost) {
            std::cout << "  excepted: job " << id << ", its 201 "
                      << (gitlab->job(id).claimDelivered ? "was in hand at a kill"
                                                         : "never left GitLab whole")
                      << '\n';
        }
    }
    void expectNoSecretInWhatPeopleSee() const {
        std::string database;
        for (const auto* name : {"gridbridge.db", "gridbridge.db-wal"}) {
            database += readFile(service->stateDir() / name);
        }
        ASSERT_NE(database.find(gitlab->url()), std::string::npos) << "what is sought is found";
        expectNoSecretIn(database);
        expectNoSecretIn(service->log());
        expectNoSecretIn(service->command({"jobs", "--all", "--json"}));
        for (const auto id : ids) {
            expectNoSecretIn(service->command({"show", std::to_string(id), "--json"}));
        }
    }
    void expectNoSecretIn(const std::string& text) const {
        for (const auto& secret : secrets()) {
            EXPECT_EQ(text.find(secret), std::string::npos) << secret;
        }
    }
    /// Of the jobs and of the runner.
    std::vector<std::string> secrets() const {
        std::vector<std::string> all{kSecret, kRunnerToken};
        for (const auto id : ids) {
            if (const auto token = gitlab->job(id).token; !token.empty()) {
                all.push_back(token);
            }
        }
        return all;
    }

    const Size wanted = size();
    std::map<FaultKind, double> rates;
};

TEST_F(StormEndToEnd, NothingIsLostNothingDoubledNoByteWrongNoSecretOut) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    // Every lost answer, and every kill, makes it ask once more.
    prepare(wanted.jobs, 1000);
    gitlab->setFaults(seed, 0);
    const std::string planted = "planted-in-the-arguments";
    const ArgumentWatch watch({planted, kSecret, kRunnerToken, kJobTokens});
    if (wanted.atPoints) {
        killAtEachPoint();
    }
    killAtRandom(random);
    untilEverythingStruck();
    gitlab->setFaults(seed, 0);
    loseTokens();
    service->start();
    settle();
    tell();
    check();
    expectNoSecretInWhatPeopleSee();
    for (const auto& secret : secrets()) {
        EXPECT_FALSE(watch.saw(secret)) << secret;
    }
    EXPECT_TRUE(waitFor(
        [&] {
            service->command({"show", planted});
            return watch.saw(planted);
        },
        "the planted secret to be found: the watch is dead"));
}

TEST_F(CrashEndToEnd, TenKillsAtRandomMoments) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(kJobs);
    for (int round = 0; round < 10; ++round) {
        service->start();
        // The moment is the point of the test: any moment will do.
        clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
        kill();
    }
    std::cout << "claims lost before their commit: " << lost.size() << std::endl;
    service->start();
    settle();
    check();
}

}  // namespace
}  // namespace gridbridge::testing
