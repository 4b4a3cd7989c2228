#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge {

struct SlurmConfig {
    std::string slurmConf = {};  ///< Path of slurm.conf; empty = where the commands look.
    std::string binDir = {};     ///< Where the commands are besides the usual folders.
    std::string partition = {};  ///< Empty: Slurm's default, as for the next two.
    std::string account = {};
    std::string qos = {};
    std::vector<std::string> submitOptions = {};  ///< More options of sbatch; the last one counts.
    bool operator==(const SlurmConfig&) const = default;
};

/// The commands of Slurm in text mode: their options and formats are the same since Slurm 20.11.

/// Whether sbatch may be given it besides ours: a long option of one word, and none on which what
/// is promised of a job rests.
bool isSlurmSubmitOption(const std::string& option);

/// `folder` is the submission's, which holds the script. The job's environment becomes that of
/// sbatch, so that must be a constructed one.
std::vector<std::string> submitCommand(const SlurmConfig& config, const BatchJob& job,
                                       const std::filesystem::path& folder, WallTime now);

/// All jobs of the account that asks, ended ones too until the controller forgets them
/// (MinJobAge); read by parseQueue.
std::vector<std::string> queueCommand();

/// What accounting has about jobs of these names that were submitted since; read by parseHistory.
std::vector<std::string> historyCommand(std::span<const std::string> names, WallTime since);

/// What accounting says that jobs of these names used, step by step; read by parseUsage.
std::vector<std::string> usageCommand(std::span<const std::string> names, WallTime since);

/// For all three: times as seconds since 1970, whatever the time zone.
std::vector<std::string> timeVariables();

/// The job of that id, provided that it has that name: ids are given out again.
std::vector<std::string> cancelCommand(const SubmissionKey& key, const RemoteId& id,
                                       bool onlyPending);

/// Prints the partition's name where there is one.
std::vector<std::string> partitionCommand(const std::string& partition);

}  // namespace gridbridge
