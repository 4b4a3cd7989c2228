// The service and every daemon of the batch system are killed and started again while jobs run.
// ENGINE_JOBS=50 ENGINE_KILLS=20 is the size for a person who has half an hour; ENGINE_SEED repeats
// the order.
#include <algorithm>
#include <csignal>
#include <iostream>
#include <iterator>
#include <random>
#include <set>
#include <sstream>

#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using std::chrono::seconds;

constexpr const char* kService = "gridbridge";

class EngineStorm : public EngineService {
protected:
    /// All there are, in an order of the seed, and again in another.
    std::vector<std::string> victims(int count, std::mt19937_64& random) const {
        auto each = engine.daemons();
        each.emplace_back(kService);
        std::vector<std::string> result;
        while (std::ssize(result) < count) {
            std::shuffle(each.begin(), each.end(), random);
            result.insert(result.end(), each.begin(), each.end());
        }
        result.resize(static_cast<std::size_t>(count));
        return result;
    }
    /// Until so many scripts run and the first two lines of each are at GitLab, or, where those
    /// come late, the service knows that they run; as many jobs are added as have ended or lost
    /// their script.
    void keepRunning(int jobs) {
        const auto end = clock.steadyNow() + seconds(300);
        for (;;) {
            int open = 0;
            int printing = 0;
            const auto running = idsThatRun();
            for (std::size_t i = 0; i < ids.size(); ++i) {
                const bool started = starts(nameOf(i)) > 0;
                if (!isEnded(gitlab->status(ids[i])) && (!started || isAlive(nameOf(i)))) {
                    ++open;
                    const bool followed = engine.tellsLive()
                                              ? printedLines(gitlab->job(ids[i])) >= 2
                                              : running.contains(ids[i]);
                    printing += started && followed ? 1 : 0;
                }
            }
            if (printing >= jobs) {
                return;
            }
            ASSERT_LT(clock.steadyNow(), end) << printing << " of " << open << " print";
            for (; open < jobs; ++open) {
                ids.push_back(addPrintingNext());
            }
            clock.sleepUntil(clock.steadyNow() + std::chrono::milliseconds(300), {});
        }
    }
    /// As the service has seen it: a script may outlive its pilot unseen.
    std::set<JobId> idsThatRun() const {
        std::istringstream rows(
            service->sql("SELECT gitlab_id FROM job JOIN submission ON submission.job = job.id "
                         "WHERE job.state = 'running' AND batch_state = 'running'"));
        return {std::istream_iterator<JobId>(rows), {}};
    }
    /// Long enough that as many as are chosen can run at a time.
    JobId addPrintingNext() {
        const auto name = nameOf(ids.size());
        return addPrinting(name, std::to_string(2 + chosen("ENGINE_JOBS", 4) / 10),
                           "echo $$ >" + pidFile(name).string());
    }
    bool isAlive(const std::string& name) const {
        const auto pid = std::atoi(readFile(pidFile(name)).c_str());
        return pid == 0 || ::kill(pid, 0) == 0;
    }
    std::filesystem::path pidFile(const std::string& name) const {
        return folder.path / "starts" / (name + ".pid");
    }
    void killAndRestart(const std::string& victim) {
        if (victim == kService) {
            service->killHard();
            service->start();
        } else {
            engine.kill(victim);
            engine.repair();
        }
    }
    static std::string nameOf(std::size_t number) { return "job" + std::to_string(number); }

    std::vector<JobId> ids;
};

TEST_F(EngineStorm, EveryScriptStartsAtMostOnceAndEveryJobEndsOnce) {
    const int jobs = chosen("ENGINE_JOBS", 4);
    const int kills = chosen("ENGINE_KILLS", static_cast<int>(engine.daemons().size()) + 1);
    const int seed = chosen("ENGINE_SEED", static_cast<int>(std::random_device()() >> 1));
    std::cout << engine.name() << ": ENGINE_JOBS=" << jobs << " ENGINE_KILLS=" << kills
              << " ENGINE_SEED=" << seed << "\n";
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    serve(ServiceEngine::kProcessors);

    for (const auto& victim : victims(kills, random)) {
        ASSERT_NO_FATAL_FAILURE(keepRunning(jobs));
        std::cout << "killed: " << victim << std::endl;
        killAndRestart(victim);
    }
    // All that the kills struck may be lost, since a controller forgets what it had not saved yet,
    // and gives its id away again; what comes when they are over may not.
    ASSERT_TRUE(ends(ids, seconds(600)));
    const auto struck = ids.size();
    for (int i = 0; i < jobs; ++i) {
        ids.push_back(addPrintingNext());
    }
    ASSERT_TRUE(ends(ids, seconds(600)));

    std::map<std::string, int> results;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto job = gitlab->job(ids[i]);
        EXPECT_EQ(job.acceptedFinals, 1) << job.name;
        if (job.status == Status::Success) {
            EXPECT_EQ(starts(job.name), 1) << job.name;
            EXPECT_EQ(printedLines(job), 10) << job.name << "\n" << plain(job.trace);
            ++results["success"];
            continue;
        }
        EXPECT_LT(i, struck) << "came after the last kill: " << plain(job.trace);
        EXPECT_LE(starts(job.name), 1) << job.name;
        EXPECT_GE(printedLines(job), 0) << job.name << "\n" << plain(job.trace);
        EXPECT_TRUE(isLost(job)) << job.failureReason << "\n" << plain(job.trace);
        ++results[job.failureReason + ", " + lastLine(job)];
    }
    std::cout << ids.size() << " jobs, " << struck << " of them while daemons were killed\n";
    for (const auto& [result, count] : results) {
        std::cout << count << " jobs: " << result << "\n";
    }
}

}  // namespace
}  // namespace gridbridge::testing
