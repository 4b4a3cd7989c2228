#include "backends/slurm/SlurmCommands.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// The wrapper ends at the deadline and we a minute later: Slurm comes last.
constexpr minutes kAfterDeadline{3};
/// Seconds before the time limit at which the wrapper is told; Slurm may be a minute early. SIGUSR1
/// means to the wrapper that the limit comes: it ends by itself, and Slurm calls that a normal end.
constexpr int kWarning = 60;
/// Slurm takes 1024 bytes.
constexpr std::size_t kLongestComment = 500;
/// Clocks differ, and a search costs the same.
constexpr std::chrono::hours kEarlier{24};

bool isOptionName(std::string_view name) {
    return name.size() > 2 && name.starts_with("--") &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

std::vector<std::string> accountingCommand(std::span<const std::string> names, WallTime since) {
    std::string all;
    for (const auto& name : names) {
        all.append(all.empty() ? "" : ",").append(name);
    }
    const auto from = std::chrono::floor<seconds>(since - kEarlier);
    return {"sacct", "--noheader", "--parsable2",
            "--starttime=" + fmt::format("{:%Y-%m-%dT%H:%M:%S}", from), "--name=" + all};
}

/// Of an option that is there twice the last one counts: a job's own are behind the site's.
void addResources(std::vector<std::string>& words, const Resources& resources) {
    const auto add = [&](const char* option, std::optional<std::int64_t> amount, const char* unit) {
        if (amount) {
            words.push_back(option + std::to_string(*amount) + unit);
        }
    };
    const auto inMiB = [](std::optional<std::int64_t> bytes) {
        return bytes ? std::optional(mebibytes(*bytes)) : std::nullopt;
    };
    add("--cpus-per-task=", resources.cpus, "");
    add("--mem=", inMiB(resources.memory), "M");
    add("--tmp=", inMiB(resources.disk), "M");
    if (resources.gpus == 0) {
        words.emplace_back("--gres=none");
    } else {
        add("--gres=gpu:", resources.gpus, "");
    }
    if (!resources.queue.empty()) {
        words.push_back("--partition=" + resources.queue);
    }
    if (!resources.account.empty()) {
        words.push_back("--account=" + resources.account);
    }
}

/// Without those of which a job has its own and which an option behind them does not take back:
/// --gres leaves --gpus and --gpus-per-node as they are.
void addSitesOptions(std::vector<std::string>& words, const SlurmConfig& config,
                     const Resources& resources) {
    std::copy_if(config.submitOptions.begin(), config.submitOptions.end(),
                 std::back_inserter(words), [&](const std::string& option) {
                     return !resources.gpus || !option.starts_with("--gpus");
                 });
}

}  // namespace

bool isSlurmSubmitOption(const std::string& option) {
    static constexpr std::array<std::string_view, 29> kOurs{
        "--array",        "--begin",     "--chdir",  "--clusters",  "--comment",
        "--dependency",   "--error",     "--export", "--help",      "--export-file",
        "--get-user-env", "--hold",      "--input",  "--job-name",  "--kill-on-invalid-dep",
        "--no-requeue",   "--open-mode", "--output", "--parsable",  "--propagate",
        "--quiet",        "--requeue",   "--signal", "--test-only", "--uid",
        "--usage",        "--version",   "--wait",   "--wrap"};
    const auto name = std::string_view(option).substr(0, option.find('='));
    return isOptionName(name) && std::find(kOurs.begin(), kOurs.end(), name) == kOurs.end() &&
           std::none_of(option.begin(), option.end(), [](char c) { return c < ' ' || c > '~'; });
}

std::vector<std::string> submitCommand(const SlurmConfig& config, const BatchJob& job,
                                       const std::filesystem::path& folder, WallTime now) {
    const auto limit = "--time=" + std::to_string((runTime(job, now) + kAfterDeadline).count());
    std::vector<std::string> words{
        "sbatch",
        "--parsable",
        "--job-name=" + job.key.value,
        "--comment=" + job.label.substr(0, kLongestComment),
        "--chdir=" + folder.string(),
        "--output=" + (folder / "out/batch.log").string(),
        "--open-mode=append",
        "--no-requeue",
        "--propagate=NONE",
        "--signal=B:USR1@" + std::to_string(kWarning),
    };
    if (!job.resources.wallTime) {  // The site may know a better one.
        words.push_back(limit);
    }
    if (!config.partition.empty()) {
        words.push_back("--partition=" + config.partition);
    }
    if (!config.account.empty()) {
        words.push_back("--account=" + config.account);
    }
    if (!config.qos.empty()) {
        words.push_back("--qos=" + config.qos);
    }
    addSitesOptions(words, config, job.resources);
    if (job.resources.wallTime) {
        words.push_back(limit);
    }
    addResources(words, job.resources);
    words.push_back((folder / "in" / kLoaderName).string());
    return words;
}

std::vector<std::string> queueCommand() {
    // Every width is given: without one a field is cut at 20 characters. The reason is the only
    // text that may hold anything, so it is the last.
    return {"squeue",
            "--me",
            "--noheader",
            "--all",
            "--states=all",
            "--Format=JobID:20|,State:32|,SubmitTime:24|,StartTime:24|,EndTime:24|"
            ",exit_code:12|,RestartCnt:8|,NodeList:64|,Name:128|,Reason:160"};
}

std::vector<std::string> historyCommand(std::span<const std::string> names, WallTime since) {
    auto words = accountingCommand(names, since);
    words.insert(words.end(),
                 {"--allocations", "--duplicates",
                  "--format=JobIDRaw,State,Submit,Start,End,ExitCode,NodeList,JobName"});
    return words;
}

std::vector<std::string> usageCommand(std::span<const std::string> names, WallTime since) {
    // Memory is a step's, and with --allocations there is no CPU time either.
    auto words = accountingCommand(names, since);
    words.emplace_back("--format=JobIDRaw,State,ElapsedRaw,TotalCPU,MaxRSS,JobName");
    return words;
}

std::vector<std::string> timeVariables() {
    return {"SLURM_TIME_FORMAT=%s", "TZ=UTC"};
}

std::vector<std::string> cancelCommand(const SubmissionKey& key, const RemoteId& id,
                                       bool onlyPending) {
    std::vector<std::string> words{"scancel", "--name=" + key.value};
    if (onlyPending) {
        words.emplace_back("--state=PENDING");
    }
    words.push_back(id.value);
    return words;
}

std::vector<std::string> partitionCommand(const std::string& partition) {
    return {"sinfo", "--noheader", "--partition=" + partition, "--format=%R"};
}

}  // namespace gridbridge
