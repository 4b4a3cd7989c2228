#pragma once

#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "backends/local/LocalBackend.h"
#include "bridge/folder/AgentFolders.h"
#include "tests/contract/ScriptedJob.h"
#include "tests/fakes/AgentCopy.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// A real local backend on a work_dir of its own, with two slots.
class LocalHarness final : public BackendHarness {
public:
    static constexpr int kSlots = 2;

    explicit LocalHarness(std::filesystem::path workDir = {}, std::string account = {},
                          int slots = kSlots)
        : workDir_(workDir.empty() ? temp_.path() / "work" : std::move(workDir)),
          account_(std::move(account)),
          slots_(slots) {
        restart();
    }

    Backend& backend() override { return *backend_; }
    BatchJob job(int number, const JobPlan& plan) override {
        return scriptedJob("gb-contract-" + std::to_string(number) + "-1", account_, plan);
    }
    BatchJob rejectedJob(int number) override {
        auto result = job(number, {});
        result.account = "gb-no-such-account";
        return result;
    }
    void letEnd(const BatchJob& job) override { std::ofstream(file(job, "out/go")) << "go"; }
    int starts(const BatchJob& job) override {
        const auto text = readFile(file(job, "out/starts"));
        return static_cast<int>(text.size());
    }
    bool folderExists(const BatchJob& job) override {
        return std::filesystem::exists(file(job, ""));
    }
    int slots() override { return slots_; }
    Clock& clock() override { return clock_; }
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }
    void restart() override { restart(folder::currentBootId()); }

    void restart(const std::string& bootId) {
        stop();
        folders_ = std::make_unique<folder::AgentFolders>(workDir_, agentIn(temp_.path() / "bin"),
                                                          clock_, bootId);
        backend_ =
            std::make_unique<LocalBackend>(LocalConfig{workDir_, slots_, "node7", bootId},
                                           *folders_, clock_, [this](const SubmissionKey& key) {
                                               const std::lock_guard lock(mutex_);
                                               ++changes_[key];
                                           });
    }
    void stop() { backend_.reset(); }
    /// How often the backend told by itself that something changed.
    int changes(const SubmissionKey& key) {
        const std::lock_guard lock(mutex_);
        return changes_[key];
    }
    std::filesystem::path file(const BatchJob& job, const std::string& name) {
        return workDir_ / job.account / job.key.value / name;
    }
    std::filesystem::path record(const BatchJob& job) {
        return workDir_ / ".local" / job.key.value;
    }
    const std::filesystem::path& workDir() const { return workDir_; }
    folder::AgentFolders& folders() { return *folders_; }

private:
    TempDir temp_;
    std::filesystem::path workDir_;
    std::string account_;
    int slots_;
    SystemClock clock_;
    std::mutex mutex_;
    std::map<SubmissionKey, int> changes_;
    std::unique_ptr<folder::AgentFolders> folders_;
    std::unique_ptr<LocalBackend> backend_;
};

}  // namespace gridbridge::testing
