#include "backends/diracx/DiracxJdl.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "backends/api/CarriedFiles.h"
#include "backends/diracx/DiracxSandbox.h"

namespace gridbridge {
namespace {

/// No quotes, semicolons or line ends, which DiracX's parser does not read as one would think, and
/// no `%`, which it replaces.
constexpr std::string_view kAlphabet =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@+-|";
constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestGroup = 32;

bool isPlain(std::string_view text) {
    return !text.empty() && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

/// `{"a", "b"}`, or the only one.
std::string listOf(const std::vector<std::string>& texts) {
    std::string list;
    for (const auto& text : texts) {
        list += (list.empty() ? "" : ", ") + quoted(text);
    }
    return texts.size() == 1 ? list : "{" + list + "}";
}

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// What not every job asks for.
Attributes placement(const DiracxConfig& config, const BatchJob& job) {
    Attributes all;
    const auto addList = [&](const char* name, const std::vector<std::string>& texts) {
        if (!texts.empty()) {
            all.emplace_back(name, listOf(texts));
        }
    };
    addList("Site", config.sites);
    addList("BannedSites", config.bannedSites);
    addList("Tags", config.tags);
    if (!config.platform.empty()) {
        all.emplace_back("Platform", quoted(config.platform));
    }
    if (job.resources.cpus) {
        all.emplace_back("NumberOfProcessors", std::to_string(*job.resources.cpus));
    }
    if (job.resources.memory) {
        all.emplace_back("Memory", std::to_string(mebibytes(*job.resources.memory)));
    }
    return all;
}

std::int64_t cpuTime(const DiracxConfig& config, const BatchJob& job, WallTime now) {
    const std::chrono::seconds run = runTime(job, now);
    const auto scaled = std::ceil(static_cast<double>(run.count()) * config.cpuTimeFactor);
    constexpr double kMost = 1e9;
    return static_cast<std::int64_t>(std::clamp(scaled, 1.0, kMost));
}

}  // namespace

bool isDiracxWord(std::string_view text) {
    const auto first = text.empty() ? '\0' : text.front();
    const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    return letter && text.size() <= kLongestName && isPlain(text) &&
           text.find('|') == std::string_view::npos;
}

std::string diracxGroup(const SubmissionKey& key) {
    auto group = key.value;
    for (int i = 0; i < 2; ++i) {
        group.erase(std::min(group.rfind('-'), group.size()));
    }
    return group;
}

Result<std::string> diracxJdl(const DiracxConfig& config, const BatchJob& job,
                              const std::vector<std::string>& sandboxes, WallTime now) {
    const auto group = diracxGroup(job.key);
    if (!isDiracxWord(job.key.value) || !isDiracxWord(group) || group.size() > kLongestGroup) {
        return permanentError("DIRAC cannot take a job of that name: " + job.key.value);
    }
    auto outputs = carriedOutputs(job);
    outputs.insert(outputs.end(), {kDiracxBatchLog, kDiracxExitName});
    if (!std::all_of(outputs.begin(), outputs.end(), isPlain) ||
        !std::all_of(sandboxes.begin(), sandboxes.end(), isPlain)) {
        return permanentError("a file of " + job.key.value + " has a name that is no plain one");
    }
    Attributes all{{"JobName", quoted(job.key.value)},
                   {"JobGroup", quoted(group)},
                   {"JobType", quoted(config.jobType)},
                   {"Executable", quoted(kDiracxWrapperName)},
                   {"StdOutput", quoted(kDiracxBatchLog)},
                   {"StdError", quoted("batch.err")},
                   {"InputSandbox", listOf(sandboxes)},
                   {"OutputSandbox", listOf(outputs)},
                   {"CPUTime", std::to_string(cpuTime(config, job, now))}};
    const auto more = placement(config, job);
    all.insert(all.end(), more.begin(), more.end());
    std::string jdl;
    for (const auto& [name, value] : all) {
        jdl.append(name).append(" = ").append(value).append(";\n");
    }
    return jdl;
}

std::string unusualInJdl(const DiracxConfig& config, const BatchJob& job) {
    std::string text = config.jobType == "User" ? "" : "JobType = " + quoted(config.jobType);
    for (const auto& [name, value] : placement(config, job)) {
        text.append(text.empty() ? "" : ", ").append(name).append(" = ").append(value);
    }
    return text;
}

}  // namespace gridbridge
