#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge {

struct HTCondorConfig {
    std::string condorConfig = {};  ///< Path of condor_config; empty = where the commands look.
    std::string binDir = {};        ///< Where the commands are besides the usual folders.
    std::string schedd = {};        ///< Name of the schedd; empty = this machine's own.
    std::vector<std::string> submitOptions = {};  ///< Lines of the submit description.
    /// The nodes do not see the work folder: HTCondor copies the jobs' files.
    bool fileTransfer = false;
    bool operator==(const HTCondorConfig&) const = default;
};

/// What HTCondor is told to say of jobs that we end, in RemoveReason.
inline constexpr std::string_view kNotWanted = "gridbridge: no longer wanted";
inline constexpr std::string_view kPastDeadline = "gridbridge: past its deadline";
inline constexpr std::string_view kNotAgain = "gridbridge: not started again";

/// Whether the submit description may hold that line besides ours: a resource, a priority, an
/// accounting group, the requirements, or an attribute (`MY.Name = value`, `+Name = value`) that
/// has no meaning to HTCondor itself.
bool isHTCondorSubmitOption(const std::string& line);

/// The lines of a submit description by which a job asks for what it is to get.
std::string resourceLines(const Resources& resources);

/// The description of one cluster with these jobs, in their order: they belong to one account, and
/// their resourceLines() are the same. `parent` holds their folders. What runs is in/loader.sh,
/// with file transfer in/follower.sh, at most once: HTCondor would start a job again after the loss
/// of its node, and removes it instead.
std::string submitDescription(const HTCondorConfig& config, std::span<const BatchJob* const> jobs,
                              const std::filesystem::path& parent);

/// With file transfer: where in `out/` the log arrives while the job runs, from followerScript(),
/// which runs the loader. `out/log` itself comes whole when the job has ended.
inline constexpr const char* kStreamName = "log.stream";
inline constexpr const char* kFollowerName = "follower.sh";
std::string followerScript();

/// For all commands: `schedd` is its name, empty for this machine's own.
std::vector<std::string> submitCommand(const std::string& schedd,
                                       const std::filesystem::path& description);
/// All jobs of the account that asks which have a key, also ended ones for some minutes; read by
/// parseJobs.
std::vector<std::string> queueCommand(const std::string& schedd);
/// Jobs of these keys that have left the queue; read by parseJobs.
std::vector<std::string> historyCommand(const std::string& schedd,
                                        std::span<const std::string> keys);
/// The jobs of these keys that have not ended; `onlyWaiting`: only those that do not run.
std::vector<std::string> removeCommand(const std::string& schedd, std::span<const std::string> keys,
                                       bool onlyWaiting);

}  // namespace gridbridge
