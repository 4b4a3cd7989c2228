#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge {

/// See docs/configuration.md, which names the combinations that are allowed.
struct HTCondorConfig {
    std::string condorConfig = {};  ///< Path of condor_config; empty = where the commands look.
    std::string binDir = {};        ///< Where the commands are besides the usual folders.
    std::string schedd = {};        ///< Name of the schedd; empty = this machine's own.
    std::vector<std::string> submitOptions = {};  ///< Lines of the submit description.
    /// The nodes do not see the work folder: HTCondor copies the jobs' files.
    bool fileTransfer = false;
    /// Nor does the schedd: the files go to its spool with the submission, from there to the nodes,
    /// back, and are fetched.
    bool spool = false;
    /// For that long a job may wait for its files to arrive there; no key of the configuration.
    /// Longer than any condor_submit of ours may run.
    std::chrono::seconds sendingLimit{120};
    bool operator==(const HTCondorConfig&) const = default;
};

/// Whether the nodes do not see the submission's folder.
inline bool copiesFiles(const HTCondorConfig& config) {
    return config.fileTransfer || config.spool;
}

/// What HTCondor is told to say of jobs that we end, in RemoveReason.
inline constexpr std::string_view kNotWanted = "gridbridge: no longer wanted";
inline constexpr std::string_view kPastDeadline = "gridbridge: past its deadline";
inline constexpr std::string_view kNotAgain = "gridbridge: not started again";
inline constexpr std::string_view kNeverSent = "gridbridge: its files were never all sent";

/// Which jobs of some keys are to be removed.
enum class Removal {
    NotEnded,
    Waiting,
    Unsent,  ///< Their files are being sent to the schedd, or nobody does so any more.
    Ended,   ///< Their spool goes with them.
};

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

std::vector<std::string> submitCommand(const HTCondorConfig& config,
                                       const std::filesystem::path& description);
/// For these commands: `schedd` is its name, empty for this machine's own.
/// All jobs of the account that asks which have a key, or one of `keys`, also ended ones for some
/// minutes; read by parseJobs.
std::vector<std::string> queueCommand(const std::string& schedd,
                                      std::span<const std::string> keys = {});
/// Jobs of these keys that have left the queue; read by parseJobs.
std::vector<std::string> historyCommand(const std::string& schedd,
                                        std::span<const std::string> keys);
/// The ended job of this key is written from the spool to where it was submitted from. It succeeds
/// also where there is no such job. While another one with the same folder `lock` runs, also one
/// that was left over, it ends at once with kFetchRuns and says nothing.
std::vector<std::string> fetchCommand(const std::string& schedd, const std::string& key,
                                      const std::filesystem::path& lock);
inline constexpr int kFetchRuns = 75;
std::vector<std::string> removeCommand(const std::string& schedd, std::span<const std::string> keys,
                                       Removal which);

}  // namespace gridbridge
