#pragma once

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bridge/folder/AgentFolders.h"
#include "tests/contract/ScriptedJob.h"
#include "tests/fakes/AgentCopy.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// A `SchedulerBackend` on the program's `BatchEngine`, with a work_dir and keys of its own.
template <typename BatchEngine, typename SchedulerBackend, typename Config>
class EngineHarness : public BackendHarness {
public:
    Backend& backend() override { return *backend_; }
    BatchJob job(int number, const JobPlan& plan) override {
        const auto key = prefix_ + std::to_string(number) + "-1";
        auto result = scriptedJob(key, account_, plan, go(key));
        result.deadline = clock_.wallNow() + std::chrono::minutes(10);
        result.label = "physics/detector:test:ada";
        return result;
    }
    BatchJob rejectedJob(int number) override {
        auto result = job(number, {});
        result.loader = std::string(5000, '#');
        return result;
    }
    void letEnd(const BatchJob& job) override { std::ofstream(go(job.key.value)) << "go"; }
    int starts(const BatchJob& job) override {
        return static_cast<int>(readFile(file(job, "out/starts")).size());
    }
    bool folderExists(const BatchJob& job) override {
        return std::filesystem::exists(file(job, ""));
    }
    int slots() override { return slots_; }
    Clock& clock() override { return clock_; }
    Millis clockDifference() override { return std::chrono::seconds(5); }
    bool keepsRecords() override { return true; }
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }
    void restart() override {
        backend_.reset();
        folders_ =
            std::make_unique<folder::AgentFolders>(workDir_, agentIn(temp_.path() / "bin"), clock_);
        backend_ = std::make_unique<SchedulerBackend>(
            config, account_, *folders_, runner_, clock_,
            [this](const std::string& text) { told.push_back(text); });
    }

    static BatchEngine& engine() { return BatchEngine::get(); }
    std::filesystem::path file(const BatchJob& job, const std::string& name) {
        return workDir_ / job.account / job.key.value / name;
    }
    /// Becomes true with the next restart().
    Config config;
    std::vector<std::string> told;

protected:
    /// Jobs belong to `account`, and `slots` of them run at a time.
    EngineHarness(Config settings, std::string account, int slots)
        : config(std::move(settings)), account_(std::move(account)), slots_(slots) {
        static int harnesses = 0;
        prefix_ = "gb-t" + std::to_string(::getpid()) + "n" + std::to_string(++harnesses) + "-";
        EngineHarness::restart();
    }

private:
    /// Not with the job's files, which a batch system may be copying; its nodes are this machine.
    std::string go(const std::string& key) const { return temp_.path() / ("go-" + key); }

    TempDir temp_;
    std::filesystem::path workDir_ = temp_.path() / "work";
    std::string account_;
    std::string prefix_;
    int slots_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
    std::unique_ptr<folder::AgentFolders> folders_;
    std::unique_ptr<SchedulerBackend> backend_;
};

}  // namespace gridbridge::testing
