#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "backends/simulated/SimulatedBackend.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/contract/BackendContract.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// Jobs that do what the suite planned.
class PlannedWork final : public SimulatedWorkload {
public:
    void plan(const SubmissionKey& key, const JobPlan& plan) { plans_[key] = plan; }
    void letEnd(const SubmissionKey& key) { plans_.at(key).held = false; }

    SimulatedWork work(const SubmissionKey& key) override {
        const auto& plan = plans_.at(key);
        SimulatedWork work;
        work.log = plan.output;
        work.runTime = plan.held ? std::chrono::hours(24 * 365) : Millis(0);
        work.exitCode = plan.exitCode;
        work.signal = plan.signal;
        work.farewell = "canceled";
        return work;
    }
    std::string status(const SubmissionKey& key, const SimulatedVerdict&) override {
        return plans_.at(key).status;
    }

private:
    std::map<SubmissionKey, JobPlan> plans_;
};

/// A simulated backend without faults on a work_dir of its own.
class SimulatedHarness final : public BackendHarness {
public:
    SimulatedHarness() { restart(); }

    Backend& backend() override { return *backend_; }
    BatchJob job(int number, const JobPlan& plan) override {
        BatchJob result;
        result.key = {"gb-contract-" + std::to_string(number) + "-1"};
        result.deadline = clock_.wallNow() + std::chrono::hours(24 * 365 * 2);
        work_->plan(result.key, plan);
        return result;
    }
    BatchJob rejectedJob(int number) override {
        auto result = job(number, {});
        result.loader = std::string(5000, '#');
        return result;
    }
    void letEnd(const BatchJob& job) override { work_->letEnd(job.key); }
    int starts(const BatchJob& job) override {
        return std::filesystem::exists(workDir_ / job.key.value / "out/started") ? 1 : 0;
    }
    bool folderExists(const BatchJob& job) override {
        return std::filesystem::exists(workDir_ / job.key.value);
    }
    int slots() override { return 2; }
    Clock& clock() override { return clock_; }
    void pass() override { clock_.advance(Millis(100)); }
    void restart() override {
        backend_.reset();
        folders_ = std::make_unique<folder::DirectFolders>(workDir_);
        backend_ = std::make_unique<SimulatedBackend>(SimulatedConfig{workDir_, slots(), 1, 0},
                                                      *folders_, clock_, work_);
    }

private:
    TempDir temp_;
    std::filesystem::path workDir_ = temp_.path() / "work";
    FakeClock clock_;
    std::shared_ptr<PlannedWork> work_ = std::make_shared<PlannedWork>();
    std::unique_ptr<folder::DirectFolders> folders_;
    std::unique_ptr<SimulatedBackend> backend_;
};

}  // namespace gridbridge::testing
