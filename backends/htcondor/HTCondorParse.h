#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/base/Process.h"

namespace gridbridge {

/// One job as HTCondor shows it.
struct HTCondorJob {
    std::string id;  ///< `CLUSTER.PROC`
    int status = 0;  ///< JobStatus
    WallTime submittedAt{};
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> completedAt = {};  ///< It ended by itself.
    std::optional<WallTime> fetchedAt = {};    ///< All of its spool has arrived somewhere, last.
    WallTime since{};                          ///< In this status.
    int starts = 0;                            ///< NumShadowStarts: attempts to run it.
    bool attended = false;                     ///< A shadow looks after it, so it may still run.
    bool disconnected = false;                 ///< Its node does not answer.
    int holdCode = 0;
    int holdSubCode = 0;
    int vacateCode = 0;  ///< Why its run was ended by HTCondor.
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    std::string node = {};
    std::string holdReason = {};
    std::string removeReason = {};
    std::string vacateReason = {};
    Usage usage = {};
    std::string matchReason = {};  ///< Why no machine was found for it.
    bool listed = true;            ///< By the queue; else only the history knows it.
    bool operator==(const HTCondorJob&) const = default;
};

/// Our jobs of an answer, by key; those of others are left out.
struct HTCondorListing {
    std::map<std::string, HTCondorJob> jobs;
    /// Why a job that is not listed may be there nevertheless, one line; empty = the list is whole.
    std::string trouble;
};

/// What queueCommand() or historyCommand() printed; `command` is its name. An answer that is no
/// whole JSON text lists nothing.
HTCondorListing parseJobs(std::string_view out, const std::string& command);

/// What condor_submit said of `count` jobs, in their order. Accepted only when its last line names
/// a cluster of exactly so many; refused, full or certainly not accepted only by its known
/// sentences; anything else is Uncertain.
std::vector<Result<Submission>> parseSubmission(const Finished& submit, const std::string& schedd,
                                                std::size_t count, WallTime now);

/// Whether condor_rm found no job of those keys that it could remove: nothing is left to do.
bool foundNothingToRemove(const Finished& remove);

/// What a command complains of, one line: `ERROR:` and the like and further explanations are left
/// out.
std::string complaintOf(const Finished& finished);

/// `SCHEDD#CLUSTER.PROC`; without the schedd's name where it is the machine's own.
RemoteId remoteId(const std::string& schedd, const std::string& id);
/// The schedd that an id names; empty = the machine's own.
std::string scheddOf(const RemoteId& id);

/// Over, with nothing of it running any more.
bool hasEnded(const HTCondorJob& job);
/// Not started; it is not said that it will be.
bool isWaiting(const HTCondorJob& job);
/// Of the waiting and of the ended: it stays in the queue until it is removed.
bool mustBeRemoved(const HTCondorJob& job);

/// Whether the script started only its marker tells.
Observation observationOf(const HTCondorJob& job);

}  // namespace gridbridge
