#pragma once

#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakegitlab/JobFile.h"

namespace gridbridge::fakegitlab {

/// How one job ended, beside what its file expects.
struct JobResult {
    std::string file = {};
    JobSnapshot seen = {};
    Expectation expect = {};
    std::vector<std::string> problems = {};  ///< Differences, as sentences; empty = as expected.
};

struct Summary {
    std::vector<JobResult> jobs = {};
    std::vector<std::string> violations = {};
    std::map<FaultKind, std::uint64_t> faults = {};  ///< How often each struck.
    std::set<FaultKind> wanted = {};                 ///< Those that should have.

    /// Also false when one of `wanted` never struck: nothing has been shown of it.
    bool ok() const;
};

/// The differences between `seen` and `expect`.
std::vector<std::string> differences(const JobSnapshot& seen, const Expectation& expect);
/// The table for people: job, state, reason, exit code, expected, ok; then violations and faults.
void print(const Summary& summary, std::ostream& out);
std::string toJson(const Summary& summary);

}  // namespace gridbridge::fakegitlab
