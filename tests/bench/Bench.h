#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {

/// What a process costs now.
struct Usage {
    double residentMb = 0;
    int threads = 0;
    int descriptors = 0;
    int children = 0;
    double cpuMs = 0;                        ///< Of the threads that live.
    std::map<std::string, double> threadMs;  ///< The same by a thread's name.
};

/// One stand-in GitLab and one service with the local backend, for one row of the table.
class Bench {
public:
    /// The service has `slots` and takes all jobs at once.
    explicit Bench(int slots);
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    /// Starts the service; seconds until its first question for a job.
    double start();
    void add(int count, const fakegitlab::JobSpec& spec);
    /// Seconds until `condition` holds; ends the program with the service's log when it never does.
    double until(const std::function<bool()>& condition) const;
    /// Jobs in one of the states, e.g. `'queued','running'`.
    int count(const std::string& states) const;
    bool ended(fakegitlab::JobId id) const;
    int patches() const;
    Usage usage() const;

    SystemClock clock;
    TempFolder folder;
    std::optional<fakegitlab::FakeGitLab> gitlab;
    std::optional<Service> service;
    std::vector<fakegitlab::JobId> ids;
};

/// A job without git that runs these lines.
fakegitlab::JobSpec jobOf(std::vector<std::string> script);
/// One row of the table. `baseline` is a figure of the same run that tells what the machine can
/// do, with what it is; 0 = none.
void printRow(const std::string& what, double figure, const std::string& unit,
              const std::string& budget, double baseline = 0, const std::string& of = "");

}  // namespace gridbridge::testing
