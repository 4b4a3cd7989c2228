#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Spawn.h"

namespace gridbridge {

/// How a program ended, and what it printed.
struct Finished {
    std::optional<int> exitCode;
    std::optional<int> signal;
    std::string out;
    std::string err;
};

/// Runs short-lived programs, the commands of a batch system. Safe for concurrent use.
class ProcessRunner {
public:
    virtual ~ProcessRunner() = default;

    /// Runs `command` with empty standard input until it ends; what it left running in its
    /// process group is then killed. Blocks until `ctx.deadline` at most, and a few seconds more
    /// for a program that has to be stopped. Transient or Permanent: it was not started.
    /// Uncertain: it was stopped for the deadline, for `ctx.stop`, or because it printed more
    /// than `maxOutput` bytes to one of its outputs; its effect is unknown.
    virtual Result<Finished> run(const Command& command, const CallContext& ctx,
                                 std::size_t maxOutput) = 0;

protected:
    ProcessRunner() = default;
    ProcessRunner(const ProcessRunner&) = default;
    ProcessRunner& operator=(const ProcessRunner&) = default;
};

/// Real processes. `clock` must outlive it.
class PosixProcessRunner final : public ProcessRunner {
public:
    explicit PosixProcessRunner(Clock& clock) : clock_(clock) {}

    Result<Finished> run(const Command& command, const CallContext& ctx,
                         std::size_t maxOutput) override;

private:
    Clock& clock_;
};

}  // namespace gridbridge
