#pragma once

#include <chrono>
#include <fstream>
#include <thread>
#include <unistd.h>

#include "backends/command/CommandBackend.h"
#include "bridge/folder/AgentFolders.h"
#include "tests/contract/ScriptedJob.h"
#include "tests/engines/SgeEngine.h"
#include "tests/fakes/AgentCopy.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// The command backend on the program's Grid Engine, with a work_dir and keys of its own. Grid
/// Engine takes no jobs of root.
class SgeHarness final : public BackendHarness {
public:
    SgeHarness() {
        static int harnesses = 0;
        prefix_ = "gb-t" + std::to_string(::getpid()) + "n" + std::to_string(++harnesses) + "-";
        config.environment = SgeEngine::get().settings();
        restart();
    }

    Backend& backend() override { return *backend_; }
    BatchJob job(int number, const JobPlan& plan) override {
        auto result = scriptedJob(prefix_ + std::to_string(number) + "-1", account_, plan);
        result.deadline = clock_.wallNow() + std::chrono::minutes(10);
        return result;
    }
    BatchJob rejectedJob(int number) override {
        auto result = job(number, {});
        result.loader = std::string(5000, '#');
        return result;
    }
    void letEnd(const BatchJob& job) override { std::ofstream(file(job, "out/go")) << "go"; }
    int starts(const BatchJob& job) override {
        return static_cast<int>(readFile(file(job, "out/starts")).size());
    }
    bool folderExists(const BatchJob& job) override {
        return std::filesystem::exists(file(job, ""));
    }
    int slots() override { return 4; }
    Clock& clock() override { return clock_; }
    Millis clockDifference() override { return std::chrono::seconds(5); }
    bool keepsRecords() override { return true; }
    bool tellsTimes() override { return false; }
    void pass() override { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }
    void restart() override {
        backend_.reset();
        folders_ =
            std::make_unique<folder::AgentFolders>(workDir_, agentIn(temp_.path() / "bin"), clock_);
        backend_ = std::make_unique<CommandBackend>(
            config, account_, *folders_, runner_, clock_,
            [this](const std::string& text) { told.push_back(text); });
    }

    std::filesystem::path file(const BatchJob& job, const std::string& name) {
        return workDir_ / job.account / job.key.value / name;
    }
    /// Becomes true with the next restart().
    CommandConfig config = commandPreset("sge").value();
    std::vector<std::string> told;

private:
    TempDir temp_;
    std::filesystem::path workDir_ = temp_.path() / "work";
    std::string account_ = "nobody";
    std::string prefix_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
    std::unique_ptr<folder::AgentFolders> folders_;
    std::unique_ptr<CommandBackend> backend_;
};

}  // namespace gridbridge::testing
