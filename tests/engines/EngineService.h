#pragma once

#include <string>
#include <vector>

#include "tests/e2e/Service.h"
#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// The real executable, the stand-in GitLab and the program's batch system.
class EngineService : public EndToEnd {
protected:
    void TearDown() override;

    /// Starts the service; `jobs` jobs run at a time. `lines` are more of the backend's, and it
    /// finds the batch system's programs in `commands`.
    void serve(int jobs, const std::string& lines = "poll_interval = 1\n",
               const std::filesystem::path& commands = ServiceEngine::get().commandFolder());
    /// A job that counts its starts and runs these lines.
    fakegitlab::JobId add(const std::string& name, std::vector<std::string> script,
                          fakegitlab::Seconds timeout = std::chrono::hours(1));
    /// Runs a job of the project of cacheLines() that keeps `lib/` in a cache.
    fakegitlab::JobSnapshot runCached(std::vector<std::string> script);
    /// Lines of a runner whose jobs keep caches.
    std::string cacheLines();
    /// A folder in which every account may make its own.
    std::string openFolder(const std::string& name);
    /// One that does `first` and prints ten lines, `pause` seconds after each.
    fakegitlab::JobId addPrinting(const std::string& name, const std::string& pause,
                                  const std::string& first = ":");
    long starts(const std::string& name) const;
    /// Jobs in that state, as the service knows them.
    long count(const std::string& state) const;
    ::testing::AssertionResult reaches(long jobs, const std::string& state) const;
    /// What the service knows of the job's last submission: a column of that table.
    std::string submission(fakegitlab::JobId id, const std::string& column) const;
    /// Its script has begun and, where that can be, its first line is there.
    ::testing::AssertionResult begins(fakegitlab::JobId id, const std::string& name) const;
    /// Until GitLab has an end for each and the service is done with them.
    ::testing::AssertionResult ends(const std::vector<fakegitlab::JobId>& ids,
                                    Millis limit = std::chrono::seconds(240));
    /// How many of the ten lines are there, from the first on; -1 = one is missing among them, or
    /// there twice.
    static int printedLines(const fakegitlab::JobSnapshot& job);
    /// All ten.
    static bool isWhole(const fakegitlab::JobSnapshot& job);
    static bool isLost(const fakegitlab::JobSnapshot& job);

    /// A number of the environment, for sizes that a person chooses.
    static int chosen(const char* variable, int usual);

    ServiceEngine& engine = ServiceEngine::get();
    std::vector<std::string> submitOptions;  ///< More of them; before serve().
    std::string runnerLines;                 ///< More of the runner; before serve().

private:
    bool areDone(const std::vector<fakegitlab::JobId>& ids) const;
};

}  // namespace gridbridge::testing
