// kill -9 at every crash point and at random moments: nothing lost, nothing doubled, no byte wrong.
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "tests/e2e/Service.h"
#include "tests/fakes/LaterClock.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;

constexpr int kJobs = 20;
constexpr int kLines = 40;
constexpr auto kSecret = "s3cr3t-of-this-job";

class CrashEndToEnd : public EndToEnd {
protected:
    /// Jobs that print numbered lines and a secret, and count their own starts in a file.
    void addJobs(int count) {
        for (int i = 0; i < count; ++i) {
            const auto runs = (folder.path / ("runs." + std::to_string(i))).string();
            ids.push_back(
                gitlab->addJob({.script = {"echo x >> " + runs,
                                           "for i in $(seq " + std::to_string(kLines) +
                                               "); do echo \"line $i $KEY\"; sleep 0.05; done"},
                                .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                                              {.key = "KEY", .value = kSecret, .masked = true}},
                                .artifacts = {{.name = "runs", .paths = {"nothing"}}}}));
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
    void prepare(int jobs) {
        auto lenient = options();
        lenient.callsAfterEnd = 2;  // A killed service asks once more how a report went.
        gitlab.emplace(later, lenient);
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        addJobs(jobs);
    }
    /// With no service running: claims that GitLab counts and the database does not have. They
    /// were on their way when the service was killed, and nothing else may lose one.
    int claimsLost() {
        const auto claimed = std::count_if(ids.begin(), ids.end(), [&](JobId id) {
            return gitlab->status(id) != Status::Pending;
        });
        return static_cast<int>(claimed) -
               std::stoi("0" + service->sql("SELECT count(*) FROM job"));
    }
    bool stored(JobId id) {
        return service->sql("SELECT count(*) FROM job WHERE gitlab_id = " + std::to_string(id)) !=
               "0\n";
    }
    /// Until every job that is not among the lost ones is done.
    void settle(int losses) {
        const auto expected = std::to_string(static_cast<int>(ids.size()) - losses) + "\n";
        ASSERT_TRUE(waitFor(
            [&] {
                return service->sql("SELECT count(*) FROM job WHERE state = 'done'") == expected;
            },
            "all but " + std::to_string(losses) + " lost claims to be done"));
        for (const auto id : ids) {
            if (!stored(id)) {
                lost.insert(id);
            }
        }
        EXPECT_EQ(lost.size(), static_cast<std::size_t>(losses));
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

class CrashPoint : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashPoint, LosesNothingDoublesNothing) {
    prepare(4);
    service->start({{"GRIDBRIDGE_CRASH_POINT", std::string(GetParam()) + ":2"}});
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    const int losses = claimsLost();
    EXPECT_LE(losses, 1);
    if (std::string(GetParam()) == "received-uncommitted") {
        EXPECT_EQ(losses, 1);
    }

    service->start();
    settle(losses);
    check();
}

INSTANTIATE_TEST_SUITE_P(EachPoint, CrashPoint,
                         ::testing::Values("received-uncommitted", "received", "intent",
                                           "effect-done", "id-stored", "trace-written",
                                           "trace-committed", "patched", "collected", "reported",
                                           "settled", "released"),
                         [](const auto& p) {
                             std::string name = p.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST_F(CrashEndToEnd, TenKillsAtRandomMoments) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(kJobs);
    for (int kill = 0; kill < 10; ++kill) {
        service->start();
        // The moment is the point of the test: any moment will do.
        clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
        service->killHard();
    }
    const int losses = claimsLost();
    std::cout << "claims lost before their commit: " << losses << std::endl;
    service->start();
    settle(losses);
    check();
}

}  // namespace
}  // namespace gridbridge::testing
