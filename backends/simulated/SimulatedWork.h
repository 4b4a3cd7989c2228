#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"

namespace gridbridge {

/// What one job does in place of its script.
struct SimulatedWork {
    std::string log;                 ///< Printed evenly over `printTime`.
    Millis printTime{0};             ///< 0 = all of it at once.
    Millis runTime{0};               ///< After it the job ends by itself.
    int exitCode = 0;                ///< Of the batch job: the wrapper's, not the script's.
    std::optional<int> signal = {};  ///< Instead of an exit code.
    std::string farewell = {};       ///< Printed when it is asked softly to stop.
};

enum class SimulatedEnd {
    ByItself,
    Canceled,  ///< Asked softly to stop.
    Deadline,  ///< BatchJob::deadline came first.
};
struct SimulatedVerdict {
    SimulatedEnd end = SimulatedEnd::ByItself;
    WallTime at = {};
    std::int64_t logBytes = 0;  ///< All that it printed.
};

/// What the jobs of a simulated batch system do. The answers are the same for the same job,
/// whenever and by whomever it is asked. Safe for concurrent use.
class SimulatedWorkload {
public:
    virtual ~SimulatedWorkload() = default;
    virtual SimulatedWork work(const SubmissionKey& key) = 0;
    /// The status file that the job leaves.
    virtual std::string status(const SubmissionKey& key, const SimulatedVerdict& verdict) = 0;

protected:
    SimulatedWorkload() = default;
    SimulatedWorkload(const SimulatedWorkload&) = default;
    SimulatedWorkload& operator=(const SimulatedWorkload&) = default;
};

/// A status file as the wrapper of jobs writes it (job-execution 11.2); `exitCode` is the script's
/// and counts only when it ended by itself.
std::string wrapperStatus(const SubmissionKey& key, const SimulatedVerdict& verdict, int exitCode);

/// For sites that try the service without a cluster: every job takes 5 to 60 seconds, prints a few
/// lines that say so, and succeeds. The first, second and so on are the same in every installation.
class ShortJobs final : public SimulatedWorkload {
public:
    explicit ShortJobs(std::uint64_t seed) : seed_(seed) {}
    SimulatedWork work(const SubmissionKey& key) override;
    std::string status(const SubmissionKey& key, const SimulatedVerdict& verdict) override;

private:
    std::uint64_t seed_;
};

}  // namespace gridbridge
