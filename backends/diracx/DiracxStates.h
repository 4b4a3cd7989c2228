#pragma once

#include <optional>
#include <string>

#include "backends/api/Backend.h"
#include "backends/diracx/DiracxParse.h"

namespace gridbridge {

/// DIRAC's states and minor states, and what they mean for a job. Pure.

/// What our own kills say.
inline constexpr const char* kDiracxSource = "gridbridge";
inline constexpr const char* kDiracxKilled = "Marked for termination";
inline constexpr const char* kDiracxNotWanted = "gridbridge: not wanted any more";
inline constexpr const char* kDiracxNotAgain = "gridbridge: its script must not start twice";
inline constexpr const char* kDiracxSecondCopy = "gridbridge: a second copy";

/// DIRAC does nothing more with it.
bool isDiracxFinal(const std::string& status);
/// In DIRAC's queue, on no node.
bool isDiracxWaiting(const std::string& status);
/// Of one that is in the queue for the first time there is nothing to know.
bool needsDiracxHistory(const DiracxJob& job);

/// What a job's history tells.
struct DiracxPast {
    bool started = false;        ///< Its script may have, in any of its runs.
    bool startedBefore = false;  ///< In a run that is over: it was put back into the queue since.
    bool killedByUs = false;     ///< The first kill was ours.
    std::string killedFor = {};  ///< What ours said.
    WallTime newest{};           ///< Of all entries.
    bool operator==(const DiracxPast&) const = default;
};
DiracxPast pastOf(const DiracxJob& job);

/// `past`: of jobs that need one. `asks`: what a pilot must offer, for people; empty = nothing.
/// Exit codes DIRAC does not tell.
Observation observationOf(const DiracxJob& job, const DiracxPast& past,
                          const std::string& asks = {});

/// A state that is not known here, as a sentence; empty = all are. Such a job counts as waiting.
std::string unknownDiracxState(const DiracxJob& job);

/// Whether files of the job are to be waited for: its script ended on its node.
bool leavesDiracxFiles(const Observation& seen);

}  // namespace gridbridge
