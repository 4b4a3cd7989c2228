#include "backends/htcondor/HTCondorCommands.h"

#include <algorithm>
#include <array>

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// The wrapper ends at the deadline and we a minute later: HTCondor comes last.
constexpr std::chrono::minutes kAfterDeadline{3};
/// The lines of every submit description. A job has a minute from SIGTERM to SIGKILL to save what
/// it has made. One that is idle again after a start lost its node: of what counts starts only
/// NumShadowStarts is true after a crash of the schedd as well. The start marker is there besides.
constexpr const char* kSameForAll =
    "universe = vanilla\n"
    "transfer_executable = false\n"
    "getenv = HOME, LANG, LOGNAME, PATH, USER\n"
    "error = out/batch.log\n"
    "notification = never\n"
    "job_max_vacate_time = 60\n"
    "periodic_remove = (JobStatus == 1 && (NumShadowStarts ?: 0) > 0) || "
    "(JobStatus != 4 && time() > GridbridgeEnd)\n"
    "batch_name = $(GbKey)\n"
    "description = $(GbLabel)\n"
    "MY.GridbridgeKey = \"$(GbKey)\"\n"
    "MY.GridbridgeEnd = $(GbEnd)\n";
constexpr const char* kSharedFiles =
    "executable = /bin/sh\n"
    "arguments = in/loader.sh\n"
    "output = out/batch.log\n"
    "should_transfer_files = NO\n";
/// `out` goes there too, with the folders in it: a start marker that the service has taken is then
/// in the way of the loader.
constexpr const char* kCopiedFiles =
    "executable = /bin/bash\n"
    "arguments = in/follower.sh\n"
    "output = out/log.stream\n"
    "should_transfer_files = YES\n"
    "when_to_transfer_output = ON_EXIT\n"
    "transfer_input_files = in, out\n"
    "transfer_output_files = out\n";
/// For five minutes an ended one stays in the queue, so that one query tells of all.
constexpr const char* kLeaves =
    "leave_in_queue = JobStatus == 4 && time() - CompletionDate < 300\n";
/// One that leaves takes its spool along: for ten days the service may be down.
constexpr const char* kStays =
    "leave_in_queue = JobStatus == 4 && time() - CompletionDate < 864000\n";
/// What parseJobs() reads.
constexpr const char* kAttributes =
    "GridbridgeKey,ClusterId,ProcId,JobStatus,QDate,NumShadowStarts,CurrentHosts,HoldReasonCode,"
    "HoldReasonSubCode,HoldReason,RemoveReason,ExitBySignal,ExitCode,ExitSignal,RemoteHost,"
    "LastRemoteHost,JobStartDate,CompletionDate,StageOutFinish,EnteredCurrentStatus,"
    "JobDisconnectedDate,"
    "VacateReason,VacateReasonCode,LastRejMatchReason,RemoteWallClockTime,RemoteUserCpu,"
    "RemoteSysCpu,ResidentSetSize_RAW";

constexpr std::string_view kLowerCase = "abcdefghijklmnopqrstuvwxyz_";

std::string lowered(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

struct Line {
    std::string name;  ///< In lower case.
    std::string_view value;
};
Line lineOf(std::string_view text) {
    const auto equals = text.find('=');
    return {lowered(trimmed(text.substr(0, equals))), equals == std::string_view::npos
                                                          ? std::string_view()
                                                          : trimmed(text.substr(equals + 1))};
}

/// The name of an attribute of the site's own making.
bool isSiteAttribute(std::string_view name) {
    static constexpr std::array<std::string_view, 18> kHTCondors{"cmd",
                                                                 "arguments",
                                                                 "args",
                                                                 "environment",
                                                                 "env",
                                                                 "err",
                                                                 "in",
                                                                 "iwd",
                                                                 "jobstatus",
                                                                 "jobuniverse",
                                                                 "leavejobinqueue",
                                                                 "niceuser",
                                                                 "out",
                                                                 "owner",
                                                                 "requirements",
                                                                 "transferinput",
                                                                 "transferoutput",
                                                                 "user"};
    return !name.empty() &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
               std::string_view::npos &&
           !name.starts_with("gridbridge") && !name.starts_with("periodic") &&
           !name.starts_with("onexit") && !name.starts_with("stream") &&
           !name.starts_with("system") &&
           std::find(kHTCondors.begin(), kHTCondors.end(), name) == kHTCondors.end();
}

/// A macro of the submit language stays the text that it is.
std::string withoutMacros(const std::string& text) {
    std::string result;
    for (const char c : text) {
        result += c == '$' ? "$(DOLLAR)" : std::string(1, c);
    }
    return result;
}

std::string plain(std::string text) {
    for (auto& c : text) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("._:/-").find(c) != std::string_view::npos;
        c = good ? c : '_';
    }
    return text;
}

std::string setOf(std::span<const std::string> keys) {
    std::string all;
    for (const auto& key : keys) {
        all.append(all.empty() ? "\"" : ",\"").append(key).append("\"");
    }
    return "member(GridbridgeKey, {" + all + "})";
}

/// The schedd looks at it in the moment of the removal: what was seen before may have changed.
std::string conditionOf(Removal which) {
    switch (which) {
        case Removal::NotEnded:
            return " && JobStatus != 4";
        case Removal::Waiting:
            return " && (JobStatus == 1 || JobStatus == 5)";
        case Removal::Unsent:
            return " && JobStatus == 5 && HoldReasonCode == 16";
        case Removal::Ended:
            break;
    }
    return " && JobStatus == 4";
}

std::vector<std::string> commandFor(const char* program, const std::string& schedd) {
    return schedd.empty() ? std::vector<std::string>{program}
                          : std::vector<std::string>{program, "-name", schedd};
}

}  // namespace

bool isHTCondorSubmitOption(const std::string& line) {
    static constexpr std::array<std::string_view, 12> kKnown{"accounting_group",
                                                             "accounting_group_user",
                                                             "concurrency_limits",
                                                             "gpus_minimum_memory",
                                                             "job_lease_duration",
                                                             "max_job_retirement_time",
                                                             "max_transfer_output_mb",
                                                             "nice_user",
                                                             "priority",
                                                             "rank",
                                                             "require_gpus",
                                                             "requirements"};
    const auto [name, value] = lineOf(line);
    if (value.empty() || value.starts_with('=') ||
        std::any_of(line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; })) {
        return false;
    }
    if (name.starts_with("+") || name.starts_with("my.")) {
        return isSiteAttribute(std::string_view(name).substr(name[0] == '+' ? 1 : 3));
    }
    return std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end() ||
           (name.starts_with("request_") &&
            name.find_first_not_of(kLowerCase) == std::string::npos);
}

std::string resourceLines(const Resources& resources) {
    std::string text;
    const auto add = [&text](const char* name, const std::string& value) {
        text.append(name).append(" = ").append(value).append("\n");
    };
    if (resources.cpus) {
        add("request_cpus", std::to_string(*resources.cpus));
    }
    if (resources.memory) {
        add("request_memory", std::to_string(mebibytes(*resources.memory)));
    }
    if (resources.disk) {
        add("request_disk", std::to_string(mebibytes(*resources.disk) * 1024));  // KiB
    }
    if (resources.gpus) {
        // As if the site had asked for none either: with 0 its require_gpus would remain.
        add("request_gpus", *resources.gpus > 0 ? std::to_string(*resources.gpus) : "undefined");
    }
    if (!resources.account.empty()) {
        add("accounting_group", resources.account);
    }
    return text;
}

std::string submitDescription(const HTCondorConfig& config, std::span<const BatchJob* const> jobs,
                              const std::filesystem::path& parent) {
    std::string requirements = "(NumShadowStarts ?: 0) == 0";
    std::string text;
    for (const auto& option : config.submitOptions) {
        if (const auto line = lineOf(option); line.name == "requirements") {
            requirements.append(" && (").append(line.value).append(")");
        } else {
            text.append(option).append("\n");
        }
    }
    // Of two lines with one name the last counts: a job's own are behind the site's.
    text += resourceLines(jobs.front()->resources);
    text += kSameForAll;
    text += copiesFiles(config) ? kCopiedFiles : kSharedFiles;
    text += config.spool ? kStays : kLeaves;
    if (copiesFiles(config) && !config.spool) {  // It would be streamed to the spool.
        text += "stream_output = true\n";
    }
    text += "initialdir = " + withoutMacros(parent.string()) + "/$(GbKey)\n";
    text += "requirements = " + requirements + "\n";
    text += "MY.PeriodicRemoveReason = ifThenElse(time() > GridbridgeEnd, \"" +
            std::string(kPastDeadline) + "\", \"" + std::string(kNotAgain) + "\")\n";
    text += "queue GbKey, GbEnd, GbLabel from (\n";
    for (const auto* job : jobs) {
        const auto end =
            std::chrono::ceil<seconds>(job->deadline.time_since_epoch()) + seconds(kAfterDeadline);
        text += job->key.value + " " + std::to_string(end.count()) + " " + plain(job->label) + "\n";
    }
    return text + ")\n";
}

std::string followerScript() {
    // HTCondor copies `out` back over ours, where the stream and its own output are. What a job
    // made of it must not hinder that: without the folder, with a pipe or with a link to what never
    // ends the job would be held, or never be over. What is printed right before the end is lost:
    // hence the pause. A shell starts in the background what ignores interrupts, and only bash can
    // undo it.
    return R"gb(#!/bin/bash
# gridbridge: runs the job and prints its log while it grows.
rm -f out/log.stream
mkdir -p out && : >>out/log || exit 70
job= asked=
trap 'asked=1; [ -z "$job" ] || kill -TERM "$job"' TERM
(trap - INT QUIT; exec sh in/loader.sh >&2) &
job=$!
[ -z "$asked" ] || kill -TERM "$job"
tail -c +1 -f --pid="$job" out/log &
tail=$!
while
  wait "$job"
  code=$?
  kill -0 "$job" 2>/dev/null
do :; done
wait "$tail"
sleep 1
[ -d out ] && [ ! -L out ] || { rm -rf out; mkdir out; }
chmod -R u+rwX out
find out -mindepth 1 -maxdepth 1 \( ! -type f -o -name batch.log -o -name log.stream \) -exec rm -rf {} +
trap - TERM
[ "$code" -le 128 ] || kill -$((code - 128)) $$
exit "$code"
)gb";
}

std::vector<std::string> submitCommand(const HTCondorConfig& config,
                                       const std::filesystem::path& description) {
    auto words = commandFor("condor_submit", config.schedd);
    if (config.spool) {
        words.emplace_back("-spool");
    }
    words.insert(words.end(), {"-terse", description.string()});
    return words;
}

std::vector<std::string> queueCommand(const std::string& schedd,
                                      std::span<const std::string> keys) {
    auto words = commandFor("condor_q", schedd);
    words.insert(words.end(),
                 {"-constraint", keys.empty() ? "GridbridgeKey isnt undefined" : setOf(keys),
                  "-json", "-attributes", kAttributes});
    return words;
}

std::vector<std::string> historyCommand(const std::string& schedd,
                                        std::span<const std::string> keys) {
    auto words = commandFor("condor_history", schedd);
    words.insert(words.end(), {"-constraint", setOf(keys), "-json", "-attributes", kAttributes});
    return words;
}

std::vector<std::string> fetchCommand(const std::string& schedd, const std::string& key,
                                      const std::filesystem::path& lock) {
    std::vector<std::string> words{"flock", "--nonblock", "--conflict-exit-code",
                                   std::to_string(kFetchRuns), lock.string()};
    const auto fetch = commandFor("condor_transfer_data", schedd);
    words.insert(words.end(), fetch.begin(), fetch.end());
    words.insert(words.end(),
                 {"-constraint", setOf(std::span(&key, 1)) + conditionOf(Removal::Ended)});
    return words;
}

std::vector<std::string> removeCommand(const std::string& schedd, std::span<const std::string> keys,
                                       Removal which) {
    auto words = commandFor("condor_rm", schedd);
    words.insert(words.end(),
                 {"-reason", std::string(which == Removal::Unsent ? kNeverSent : kNotWanted),
                  "-constraint", setOf(keys) + conditionOf(which)});
    return words;
}

}  // namespace gridbridge
