#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "backends/api/Backend.h"
#include "bridge/base/Process.h"

namespace gridbridge {

/// One job as Slurm shows it.
struct SlurmJob {
    RemoteId id;
    std::string state;  ///< Slurm's word, e.g. `OUT_OF_MEMORY`.
    WallTime submittedAt{};
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> endedAt = {};
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    int run = 1;
    std::string node = {};    ///< Empty: it was never given one.
    std::string reason = {};  ///< Slurm's word or sentence; empty = none.
    bool operator==(const SlurmJob&) const = default;
};

/// Our jobs of an answer, by name; those of others are left out.
struct SlurmListing {
    std::map<std::string, SlurmJob> jobs;
    /// Why a job that is not listed may be there nevertheless, one line; empty = the list is whole.
    std::string trouble;
};

/// What queueCommand() printed. A line that makes no sense is trouble, never a job.
SlurmListing parseQueue(std::string_view out);

/// What historyCommand() printed. Exit codes are left out: sacct before 25.11 changes those above
/// 127, and up to 23.02 forgets others.
SlurmListing parseHistory(std::string_view out);

/// What accounting says of a job that has ended.
struct SlurmUsage {
    Usage usage = {};
    std::string canceledBy = {};  ///< Unix id of who canceled it; empty = nobody did.
};

/// What usageCommand() printed, by name; lines that make no sense say nothing.
std::map<std::string, SlurmUsage> parseUsage(std::string_view out);

/// What sbatch said. Accepted only when its last line is an id and nothing else; refused,
/// full or certainly not accepted only by its known sentences; anything else is Uncertain.
Result<Submission> parseSubmission(const Finished& sbatch, WallTime now);

/// Whether sacct says that this cluster keeps no accounts.
bool keepsNoHistory(const Finished& sacct);

/// Whether scancel found no job of that id and name that has not ended: nothing is left to do.
bool foundNothingToCancel(const Finished& scancel);

/// Whether the node's daemon says so in what it printed into the job's output: without cgroups
/// (`OverMemoryKill`) Slurm calls a job that it killed for its memory merely failed.
bool tellsOfMemory(std::string_view printed);

/// Over, with nothing of it running any more.
bool hasEnded(const SlurmJob& job);
/// Not started, or not again.
bool isWaiting(const SlurmJob& job);

/// `started`: a copy has taken the start marker. `removed`: we asked for its end.
Observation observationOf(const SlurmJob& job, bool started, bool removed);

}  // namespace gridbridge
