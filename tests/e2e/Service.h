#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bridge/base/Clock.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// A private folder, removed at the end.
class TempFolder {
public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    const std::filesystem::path path;
};

/// The real executable with a configuration of its own.
class Service {
public:
    Service(std::string gitlabUrl, std::filesystem::path folder);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Lines put into the configuration, of a local backend; before start(). Without it jobs run
    /// where this test program has them, trusted.
    void configure(const std::string& runnerLines, const std::string& backendLines);
    void start(const std::map<std::string, std::string>& environment = {});
    /// Words in front of the executable, and another copy of it; before start().
    void launchWith(std::vector<std::string> words, std::filesystem::path executable);
    /// SIGHUP.
    void reload() const;
    /// SIGTERM; the exit code.
    int stop();
    void killHard();
    /// Waits for its end by itself; the exit status, or 128 + signal.
    int wait();
    bool running() const { return pid_ > 0; }
    pid_t pid() const { return pid_; }

    /// Runs a command of the executable; its standard output.
    std::string command(const std::vector<std::string>& arguments, int* exitCode = nullptr) const;
    std::string sql(const std::string& query) const;

    std::filesystem::path stateDir() const { return folder_ / "state"; }
    std::filesystem::path workDir() const { return folder_ / "work"; }
    std::filesystem::path config() const { return folder_ / "config.toml"; }
    std::string log() const;

private:
    void write(const std::string& runnerLines, const std::string& backendLines) const;

    std::string gitlabUrl_;
    std::filesystem::path folder_;
    std::vector<std::string> words_;  ///< That run the executable.
    pid_t pid_ = 0;
};

/// Lines of a section `[backends.NAME]`, from `type` on: where jobs run that a test does not
/// configure otherwise. Of each test program its own; it makes of `folder`, which is the service's,
/// what that takes.
std::string usualBackend(Service& service, const std::filesystem::path& folder);

void writeFile(const std::filesystem::path& path, const std::string& text);
/// The log as a person reads it: without colours, section markers and their carriage returns.
std::string plain(const std::string& trace);
bool says(const fakegitlab::JobSnapshot& job, const std::string& text);
/// The last line a person reads.
std::string lastLine(const fakegitlab::JobSnapshot& job);
/// Body of the last report that says how the job ended; empty = none was sent.
std::string finalReport(const fakegitlab::JobSnapshot& job);
/// Section markers in their order: `+name` for a start, `-name` for an end.
std::vector<std::string> sections(const std::string& trace);
/// Whether a process runs; one that nobody has reaped yet does not.
bool runs(const std::string& pid);

/// One stand-in GitLab and one service with the local backend.
class EndToEnd : public ::testing::Test {
protected:
    EndToEnd();
    void TearDown() override;

    fakegitlab::Options options();
    void start();
    /// Adds a job, waits for its end and for the service to be done with it.
    fakegitlab::JobSnapshot run(fakegitlab::JobSpec spec);
    fakegitlab::JobSnapshot finished(fakegitlab::JobId id);
    /// A repository with one commit of these files.
    void repository(const std::map<std::string, std::string>& files);
    ::testing::AssertionResult waitFor(const std::function<bool()>& condition,
                                       const std::string& what) const;
    bool strict = true;  ///< A violation of the protocol fails the test.

    SystemClock clock;
    TempFolder folder;
    std::optional<fakegitlab::FakeGitLab> gitlab;
    std::optional<Service> service;
};

}  // namespace gridbridge::testing
