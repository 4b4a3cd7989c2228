#pragma once

#include <chrono>
#include <fstream>
#include <thread>
#include <unistd.h>

#include "backends/htcondor/HTCondorBackend.h"
#include "bridge/folder/AgentFolders.h"
#include "tests/contract/ScriptedJob.h"
#include "tests/engines/HTCondorEngine.h"
#include "tests/fakes/AgentCopy.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// A backend on the program's pool with a work_dir and keys of its own; each job fills half of the
/// machine. As root the jobs are somebody else's, for HTCondor takes none of root.
class HTCondorHarness final : public BackendHarness {
public:
    explicit HTCondorHarness(bool fileTransfer = false) {
        config.fileTransfer = fileTransfer;
        static int harnesses = 0;
        prefix_ = "gb-t" + std::to_string(::getpid()) + "n" + std::to_string(++harnesses) + "-";
        restart();
    }

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
    int slots() override { return 2; }
    Clock& clock() override { return clock_; }
    Millis clockDifference() override { return std::chrono::seconds(5); }
    bool keepsRecords() override { return true; }
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }
    void restart() override {
        backend_.reset();
        folders_ =
            std::make_unique<folder::AgentFolders>(workDir_, agentIn(temp_.path() / "bin"), clock_);
        config.condorConfig = HTCondorEngine::get().condorConfig();
        if (config.binDir.empty()) {
            config.binDir = programs();
        }
        backend_ = std::make_unique<HTCondorBackend>(
            config, account_, *folders_, runner_, clock_,
            [this](const std::string& text) { told.push_back(text); });
    }

    std::filesystem::path file(const BatchJob& job, const std::string& name) {
        return workDir_ / job.account / job.key.value / name;
    }
    static std::string programs() {
        return std::filesystem::path(HTCondorEngine::get().condorConfig())
                   .parent_path()
                   .parent_path() /
               "bin";
    }
    /// Becomes true with the next restart().
    HTCondorConfig config{.submitOptions = {"request_cpus = 8", "request_memory = 64M",
                                            "request_disk = 1M", "job_lease_duration = 20"}};
    std::vector<std::string> told;

private:
    /// Not with the job's files, which HTCondor may be copying; its node is this machine anyway.
    std::string go(const std::string& key) const { return temp_.path() / ("go-" + key); }

    TempDir temp_;
    std::filesystem::path workDir_ = temp_.path() / "work";
    std::string account_ = ::geteuid() == 0 ? "daemon" : "";
    std::string prefix_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
    std::unique_ptr<folder::AgentFolders> folders_;
    std::unique_ptr<HTCondorBackend> backend_;
};

}  // namespace gridbridge::testing
