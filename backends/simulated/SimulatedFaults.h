#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gridbridge {

/// Uniform in [0, 1), the same for the same three, on every machine.
double seededUnit(std::uint64_t seed, std::string_view purpose, std::string_view what);

/// What the worst real batch systems do. Those of a job depend on the seed and its key, those of
/// a call on the seed and how many calls of its verb came before: never on the order of threads.
enum class SimulatedFault {
    AcknowledgementLost,   ///< Accepted, and the call says uncertain.
    AcknowledgementFalse,  ///< Not accepted, and the call says uncertain.
    NodeFailed,            ///< Given up with its node; one time in two a copy starts there later.
    JobLost,               ///< Acknowledged, later gone without a trace.
    IdReused,              ///< Gets the id of a job that has ended.
    RunLostEarly,          ///< Started again: the first node failed before the job began.
    RunLostLate,           ///< Started again: the first node failed in the midst of the script.
    OutputsLate,           ///< Log and status file are seen up to 45 seconds later.
    AbsentForAWhile,       ///< Not listed for 30 seconds.
    LogShorter,            ///< Half of a log is seen, less than before.
    CallHangs,             ///< Takes effect; the answer never comes.
    Outage,                ///< Nobody answers for three minutes.
    AnswerPartial,         ///< Says nothing about some of the jobs.
};
inline constexpr std::size_t kSimulatedFaults = 13;

/// Words with hyphens, as in `acknowledgement-lost`.
std::string_view nameOf(SimulatedFault fault);

/// Which faults strike. Stateless; safe for concurrent use.
class SimulatedFaults {
public:
    /// `level` 0 = none, 1 = as nasty as the worst real system.
    SimulatedFaults(std::uint64_t seed, double level) : seed_(seed), level_(level) {}

    bool any() const { return level_ > 0; }
    /// `what` names the job, or the call.
    bool strikes(SimulatedFault fault, std::string_view what) const;
    /// A number in [0, 1) for the details of a fault.
    double detail(SimulatedFault fault, std::string_view what) const;

private:
    std::uint64_t seed_;
    double level_;
};

}  // namespace gridbridge
