#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Process.h"

namespace gridbridge {

/// One command of a scheduler.
struct SchedulerCommand {
    std::string account = {};            ///< Whose jobs it is about; empty = the service's own.
    std::vector<std::string> argv = {};  ///< argv[0] is its name, found in PATH; no secrets.
    std::vector<std::string> variables = {};        ///< NAME=value besides those of the setup.
    std::size_t maxOutput = std::size_t{16} << 20;  ///< Bytes of each output.
};

struct SchedulerSetup {
    std::string binDir = {};                  ///< Looked into before the usual folders.
    std::vector<std::string> variables = {};  ///< The scheduler's own settings, NAME=value.
    int mostPerMinute = 600;                  ///< Commands; more wait for their turn, evenly.
};

/// How a batch system that is driven by commands is asked: as the account whose jobs it is about,
/// in an environment of PATH, HOME, USER, LOGNAME, LANG and what setup and command name, with empty
/// input, no terminal, a deadline and bounded outputs. Safe for concurrent use.
class SchedulerCommands {
public:
    /// `runner` and `clock` must outlive it.
    SchedulerCommands(SchedulerSetup setup, ProcessRunner& runner, Clock& clock);

    /// What the command said, whatever its exit code. Transient or Permanent: it did not run, for
    /// it is not installed, the account cannot be used, or no time was left. Uncertain: it was
    /// stopped, see ProcessRunner::run.
    Result<Finished> run(const SchedulerCommand& command, const CallContext& ctx);

private:
    Result<void> awaitTurn(const CallContext& ctx);

    const SchedulerSetup setup_;
    ProcessRunner& runner_;
    Clock& clock_;
    std::mutex mutex_;
    SteadyTime nextEven_{};  ///< The next turn, were there no bursts.
};

/// The error of a command whose answer is all it is for: nothing has happened, whatever went wrong.
Error withoutEffect(const Error& error);

/// The error of a command that submits: one that could not even be run says nothing of a job.
Error submissionError(const Error& error);

/// Whether the name of a job has the form of a SubmissionKey; those of other people's are left out.
bool isOurName(std::string_view name);

/// A scheduler's time, seconds since 1970; nothing for what is none before the year 10,000.
std::optional<WallTime> wallTimeOf(std::int64_t seconds);

/// The last line of `text` that says something, at most 300 characters without control characters.
std::string lastLineOf(std::string_view text);

}  // namespace gridbridge
