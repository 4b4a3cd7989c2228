#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "bridge/base/Random.h"
#include "bridge/store/JobStore.h"
#include "tests/fakes/DatabaseWatch.h"
#include "tests/fakes/TempDir.h"
#include "tests/simulation/Cluster.h"
#include "tests/simulation/Network.h"

namespace gridbridge::simulation {

/// What of design section 3 did not hold.
struct Finding {
    std::string invariant;
    std::string what;
};

/// One run of the whole service, in a world that is as bad as its plan says, in simulated time:
/// real store on a real database, real traces and folders; GitLab, network, batch system, clocks
/// and the process are the simulation's. The same plan gives the same run.
class Simulation {
public:
    explicit Simulation(Plan plan, std::unique_ptr<Defect> bug = std::make_unique<Defect>());
    ~Simulation();

    /// Runs until everything is over and tells what it found wrong; once.
    std::vector<Finding> run();

    /// What happened, line by line.
    const std::vector<std::string>& story() const { return story_; }
    /// How often each fault struck and each event happened.
    std::map<std::string, std::int64_t> strikes() const;

    // For the checks.
    const Plan& plan() const { return plan_; }
    const fakegitlab::FakeGitLab& gitlab() const { return gitlab_; }
    const Network& network() const { return network_; }
    const Truths& truths() const { return truths_; }
    fakegitlab::JobId id(const PlannedJob& job) const { return ids_.at(job.name); }
    bool offered(const PlannedJob& job) const { return ids_.count(job.name) > 0; }
    std::filesystem::path stateDir() const { return folder_.path() / "state"; }
    std::filesystem::path workDir() const { return folder_.path() / "work"; }
    /// What is still at the batch system or in its folders and should not be.
    std::vector<std::string> leftovers();
    bool atRest() const { return atRest_; }
    WallTime begin() const { return begin_; }

private:
    struct Life;

    void startService();
    void end(Millis pause);
    void passPoint(std::string_view name);
    bool turn();
    void act();
    void stepCore();
    void pass();
    void happen(const PlannedEvent& event);
    void interfere(const PlannedJob& job);
    void calmDown();
    bool over();
    Millis elapsed() const;
    SteadyTime next() const;
    void tell(const std::string& line);

    const Plan plan_;
    const std::unique_ptr<Defect> bug_;
    Dice dice_;
    testing::TempDir folder_;
    testing::FakeClock time_;
    const SteadyTime start_ = time_.steadyNow();
    const WallTime begin_ = time_.wallNow();
    WorldClock serviceClock_{time_};
    WorldClock clusterClock_{time_};
    Random random_;
    fakegitlab::FakeGitLab gitlab_;
    std::map<std::string, fakegitlab::JobId> ids_;
    Truths truths_;
    Network network_;
    std::shared_ptr<PlannedWorkload> workload_;
    folder::DirectFolders folders_;

    std::unique_ptr<Life> life_;
    SteadyTime beginAt_;               ///< Of the next life, when there is none.
    std::vector<PlannedEvent> kills_;  ///< At crash points that it has not come to yet.
    std::string diedAt_;               ///< The crash point, in this life's end.
    Millis pause_{0};                  ///< After it.
    std::size_t eventsDone_ = 0;
    std::vector<std::pair<SteadyTime, std::function<void()>>> later_;
    std::unique_ptr<testing::Person> person_;
    int away_ = 0;
    bool calm_ = false;
    bool atRest_ = false;
    SteadyTime lookAt_ = start_;
    std::map<std::string, std::int64_t> happened_;
    std::vector<std::string> story_;
};

/// Looks at a run that is over from outside, by files, GitLab and the cluster.
std::vector<Finding> check(Simulation& run);

}  // namespace gridbridge::simulation
