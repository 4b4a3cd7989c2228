#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/diracx/DiracxParse.h"

namespace gridbridge {

/// What DIRAC's commands print (releases 8 and 9), between log lines and whatever else stands on
/// their standard output: lines of a known form count, and all others say nothing. Nothing = it
/// makes no sense.

/// The fields that `dstat -f json` is asked for, besides JobID. It cannot print times.
inline constexpr const char* kDiracStatFields =
    "JobName,Status,MinorStatus,ApplicationStatus,Site,RescheduleCounter";
/// All jobs of that list, which is one line. Theirs is no time and no history.
std::optional<std::vector<DiracxJob>> parseDiracStat(const std::string& out);

/// What `dlogging -f json` printed: one line for each job, in the order of the arguments, but none
/// for a job without history.
std::optional<std::vector<std::vector<DiracxEvent>>> parseDiracLogging(const std::string& out);

/// The jobs of which that says that they have no history.
std::vector<std::int64_t> withoutDiracHistory(const std::string& out);

/// The jobs of which `dirac-wms-job-status` tells anything.
std::vector<std::int64_t> parseDiracStatus(const std::string& out);

/// What became of one JDL: an id, or a message, as DIRAC's commands tell it.
struct DiracCliOutcome {
    std::optional<std::int64_t> id;
    std::string message;
};
/// Of `dirac-wms-job-submit` with these files as arguments: it prints the ids in their order, then
/// an error for each file that has none.
std::optional<std::vector<DiracCliOutcome>> parseDiracSubmit(const std::string& out,
                                                             const std::vector<std::string>& files);

/// The messages in `ERROR <id>: <message>`, by id.
std::map<std::int64_t, std::string> parseDiracErrors(const std::string& out);
/// The jobs of which it is said that they have no output sandbox.
std::vector<std::int64_t> withoutDiracOutput(const std::string& out);

/// Whether `dirac-wms-job-get-output` says that all of a job's sandboxes is in that folder.
bool isDiracOutputRetrieved(const std::string& out, const std::string& folder);
/// Whether the message of a job says that its sandbox is one that no job of ours leaves.
bool isDiracOutputRefused(const std::string& message);
/// Whether it says that the sandbox is damaged, which may have happened on its way.
bool isDiracOutputBroken(const std::string& message);

/// Whether the message to a submission says that the job was not taken, nor ever will be as it is:
/// DIRAC's own errors of the workload management, by their number or words.
bool isDiracRefusal(const std::string& message);
/// Whether it says that the job was certainly not taken, this time.
bool isDiracAway(const std::string& message);
/// The line that says most of why a command failed; never empty.
std::string diracComplaint(const std::string& out, const std::string& err);

}  // namespace gridbridge
