// kill -9 at every crash point and at random moments: nothing lost, nothing doubled, no byte wrong.
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "tests/e2e/Service.h"

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
    void settle() {
        ASSERT_TRUE(gitlab->waitUntil(
            [&] {
                for (const auto id : ids) {
                    if (!isEnded(gitlab->status(id)) && gitlab->job(id).claimDelivered &&
                        lost.count(id) == 0) {
                        return false;
                    }
                }
                return service->sql("SELECT count(*) FROM open_jobs") == "0\n";
            },
            std::chrono::seconds(50)));
    }
    void check() {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto job = gitlab->job(ids[i]);
            const auto runs = readFile(folder.path / ("runs." + std::to_string(i)));
            if (lost.count(ids[i]) > 0) {
                EXPECT_EQ(runs, "") << "a lost claim must never start";
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
        EXPECT_EQ(service->log().find(kSecret), std::string::npos);
        EXPECT_EQ(service->sql("SELECT count(*) FROM job_secret"), "0\n");
        EXPECT_TRUE(std::filesystem::is_empty(service->workDir() / ".local"));
    }

    std::vector<JobId> ids;
    std::set<JobId> lost;
};

class CrashPoint : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashPoint, LosesNothingDoublesNothing) {
    auto lenient = options();
    lenient.callsAfterEnd = 2;  // A killed service asks once more how a report went.
    gitlab.emplace(clock, lenient);
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    addJobs(4);
    service->start({{"GRIDBRIDGE_CRASH_POINT", std::string(GetParam()) + ":2"}});
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    for (const auto id : ids) {
        const bool stored = service->sql("SELECT count(*) FROM job").substr(0, 1) != "0" &&
                            std::string(GetParam()) != "received-uncommitted";
        if (!stored && gitlab->status(id) == Status::Running) {
            lost.insert(id);
        }
    }
    if (std::string(GetParam()) == "received-uncommitted") {
        // The first claim was stored, the second was not.
        ASSERT_EQ(service->sql("SELECT count(*) FROM job"), "1\n");
        lost.erase(ids[0]);
        ASSERT_EQ(lost.size(), 1U);
    }
    service->start();
    settle();
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
    auto lenient = options();
    lenient.callsAfterEnd = 2;
    gitlab.emplace(clock, lenient);
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    addJobs(kJobs);
    for (int kill = 0; kill < 10; ++kill) {
        service->start();
        // The moment is the point of the test: any moment will do.
        clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
        service->killHard();
    }
    for (const auto id : ids) {
        if (gitlab->status(id) == Status::Running &&
            service->sql("SELECT count(*) FROM job WHERE gitlab_id IS NULL OR gitlab_id = " +
                         std::to_string(id)) == "0\n") {
            lost.insert(id);
        }
    }
    std::cout << "claims lost before their commit: " << lost.size() << std::endl;
    service->start();
    settle();
    check();
}

}  // namespace
}  // namespace gridbridge::testing
