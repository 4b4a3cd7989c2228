#include "backends/command/CommandTemplates.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "backends/api/SharedFolder.h"

namespace gridbridge {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// The wrapper ends at the deadline and we a minute later: the batch system comes last.
constexpr minutes kAfterDeadline{3};

/// Where the next `{letters}` of the text is, from `from` on.
struct Hole {
    std::size_t begin;
    std::size_t length;
    std::string name;
};

std::optional<Hole> nextHole(std::string_view text, std::size_t from) {
    for (auto at = text.find('{', from); at != std::string_view::npos;
         at = text.find('{', at + 1)) {
        const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
        if (end != std::string_view::npos && text[end] == '}' && end > at + 1) {
            return Hole{at, end + 1 - at, std::string(text.substr(at + 1, end - at - 1))};
        }
    }
    return std::nullopt;
}

/// The words of `[-q {queue}]`; none for a word of another form.
std::vector<std::string> groupOf(std::string_view word) {
    std::vector<std::string> words;
    if (word.size() < 2 || word.front() != '[' || word.back() != ']') {
        return words;
    }
    word = word.substr(1, word.size() - 2);
    while (!word.empty()) {
        const auto end = std::min(word.find(' '), word.size());
        if (end > 0) {
            words.emplace_back(word.substr(0, end));
        }
        word.remove_prefix(std::min(end + 1, word.size()));
    }
    return words;
}

std::string withValues(const std::string& word, const CommandValues& values) {
    std::string text;
    std::size_t at = 0;
    while (const auto hole = nextHole(word, at)) {
        text.append(word, at, hole->begin - at);
        const auto value = values.find(hole->name);
        text.append(value == values.end() ? word.substr(hole->begin, hole->length) : value->second);
        at = hole->begin + hole->length;
    }
    return text.append(word, at);
}

/// What is absent has no value.
void addResources(CommandValues& values, const Resources& resources) {
    const auto add = [&values](const char* name, std::int64_t amount) {
        values.emplace(name, std::to_string(amount));
    };
    if (resources.cpus) {
        add("cpus", *resources.cpus);
    }
    if (resources.memory) {
        const auto all = mebibytes(*resources.memory);
        const auto cpus = resources.cpus.value_or(1);
        add("memory_mb", all);
        add("memory_mb_per_cpu", (all + cpus - 1) / cpus);
    }
    if (resources.disk) {
        add("disk_mb", mebibytes(*resources.disk));
    }
    if (resources.gpus.value_or(0) > 0) {
        add("gpus", *resources.gpus);
    }
    if (!resources.queue.empty()) {
        values.emplace("queue", resources.queue);
    }
    if (!resources.account.empty()) {
        values.emplace("account", resources.account);
    }
}

bool hasAll(const std::string& word, const CommandValues& values) {
    std::size_t at = 0;
    while (const auto hole = nextHole(word, at)) {
        if (values.count(hole->name) == 0) {
            return false;
        }
        at = hole->begin + hole->length;
    }
    return true;
}

/// qstat(1), qacct(1), sge_status(5) of Grid Engine 8.1.9.
CommandConfig gridEngine() {
    CommandConfig c;
    c.submit = {
        "qsub",     "-terse", "-N", "{name}",   "-S",  "/bin/sh",  "-r", "n",
        "-j",       "y",      "-o", "{output}", "-wd", "{folder}", "-l", "h_rt={wall_seconds}",
        "{options}"};
    // The memory limit is one of each slot.
    c.submit.insert(c.submit.end(), {"[-pe smp {cpus}]", "[-l h_vmem={memory_mb_per_cpu}M]",
                                     "[-q {queue}]", "[-P {account}]", "{script}"});
    c.submitId = R"((?<id>\d+))";
    c.submitRefused =
        "unknown queue|unknown resource|no suitable queues|invalid option argument|"
        "job rejected|denied: ";
    c.submitFull = "too many|exceeds|limit of";
    c.status = {"qstat", "-r", "-u", "{user}"};
    c.statusJob = R"(^ *(?<id>\d+) +[\d.]+ +\S+ +\S+ +(?<state>[A-Za-z]+) +\S+ \S+ +)"
                  R"((?:\S+@(?<node>\S+) +)?\d+ *\n +Full jobname: +(?<name>\S+) *\n)";
    c.statusOther = R"(job-ID  prior .*|-+|    +[A-Z][\w ]*: .*|    +[A-Z][\w ]*:)";
    c.failedStates = ".*E.*";
    c.heldStates = ".*h.*q.*";
    c.pendingStates = ".*q.*";
    c.runningStates = "[dhrRsStT]+";
    c.result = {"qacct", "-j", "{name}"};
    c.resultEnd = R"(^exit_status +(?<exit>\d+))";
    c.resultNone = "not found|no jobs running since startup";
    c.resultWallTime = R"(^failed +37 )";
    c.resultNode = R"(^failed +(?:1[89]|2[01]) )";
    c.cancel = {"qdel", "{id}"};
    c.cancelGone = "does not exist";
    return c;
}

/// The PBS Professional / OpenPBS reference guide, qstat(1B) with -F json.
CommandConfig pbs() {
    CommandConfig c;
    c.submit = {"qsub",
                "-N",
                "{name}",
                "-S",
                "/bin/sh",
                "-r",
                "n",
                "-j",
                "oe",
                "-o",
                "{output}",
                "-l",
                "walltime={wall_time}",
                "{options}"};
    c.submit.insert(c.submit.end(),
                    {"[-l ncpus={cpus}]", "[-l mem={memory_mb}mb]", "[-l ngpus={gpus}]",
                     "[-q {queue}]", "[-A {account}]", "{script}"});
    c.submitId = R"((?<id>\d+(?:\.\S+)?))";
    c.submitRefused = "Unknown queue|Unknown resource|illegal |Unauthorized|violates|Illegal";
    c.submitFull = "would exceed|maximum number of jobs";
    c.status = {"qstat", "-f", "-F", "json"};
    c.statusEmpty = R"(\A\s*\z)";
    c.statusJson = "Jobs";
    c.statusMembers = {"state=job_state", "name=Job_Name", "reason=comment", "node=exec_host"};
    c.heldStates = "H";
    c.pendingStates = "[QTWM]";
    c.runningStates = "[RESUB]";
    c.endedStates = "[FX]";
    c.result = {"qstat", "-x", "-f", "{id}"};
    c.resultEnd = R"(^\s*Exit_status = (?<exit>\d+))";
    c.resultNone = "Unknown Job Id";
    c.resultWallTime = "walltime .* exceeded limit";
    c.resultMemory = "mem .* exceeded limit";
    c.resultNode = R"(^\s*Exit_status = -\d+)";
    c.cancel = {"qdel", "{id}"};
    c.cancelGone = "Unknown Job Id|has finished";
    return c;
}

/// qsub(1B), qstat(1B) of Torque 6. A name has 15 characters there at most: a job is known by the
/// path of its output.
CommandConfig torque() {
    auto c = pbs();
    c.submit = {"qsub",
                "-N",
                "gridbridge",
                "-S",
                "/bin/sh",
                "-r",
                "n",
                "-j",
                "oe",
                "-o",
                "{output}",
                "-l",
                "walltime={wall_time}",
                "{options}",
                "[-l nodes=1:ppn={cpus}]",
                "[-l mem={memory_mb}mb]",
                "[-q {queue}]",
                "[-A {account}]",
                "{script}"};
    c.status = {"qstat", "-f", "-1"};
    c.statusEmpty = R"(\A\s*\z)";
    c.statusJson = {};
    c.statusMembers = {};
    c.statusJob =
        R"(^Job Id: (?<id>\S+)\n(?:[ \t]+.*\n)*?[ \t]+job_state = (?<state>\w)\n)"
        R"((?:[ \t]+.*\n)*?[ \t]+Output_Path = (?:.*/(?<name>[\w-]+)/out/batch\.log|.*)\n)"
        R"((?:[ \t]+.*\n)*)";
    c.statusOther = R"(\s*)";
    c.pendingStates = "[QTW]";
    c.runningStates = "[RES]";
    c.endedStates = "C";
    c.result = {"qstat", "-f", "-1", "{id}"};
    c.resultEnd = R"(^\s*exit_status = (?<exit>\d+))";
    c.resultNode = R"(^\s*exit_status = -\d+)";
    return c;
}

/// bsub(1), bjobs(1), bkill(1) of Spectrum LSF 10.
CommandConfig lsf() {
    CommandConfig c;
    c.submit = {"bsub",     "-J", "{name}",         "-rn",      "-o", "{output}", "-cwd",
                "{folder}", "-W", "{wall_minutes}", "{options}"};
    c.submit.insert(
        c.submit.end(),
        {"[-n {cpus} -R span[hosts=1]]", "[-M {memory_mb}MB -R rusage[mem={memory_mb}MB]]",
         "[-gpu num={gpus}]", "[-q {queue}]", "[-P {account}]", "/bin/sh", "{script}"});
    c.submitId = R"(Job <(?<id>\d+)> is submitted to .*)";
    c.submitRefused =
        "No such queue|Bad resource requirement|User cannot use the queue|"
        "Request aborted by esub";
    c.submitFull = "Pending job threshold reached|limit";
    c.status = {"bjobs", "-a", "-o", "jobid stat job_name exec_host delimiter='|'", "-noheader"};
    c.statusJob = R"(^(?<id>\d+)\|(?<state>\w+)\|(?<name>[^|\n]*)\|(?<node>[^|\n]*)\n)";
    c.statusEmpty = "No (?:unfinished )?job found";
    c.heldStates = "PSUSP";
    c.pendingStates = "PEND|WAIT|PROV";
    c.runningStates = "RUN|USUSP|SSUSP";
    c.endedStates = "DONE|EXIT";
    c.result = {"bjobs", "-l", "{id}"};
    c.resultEnd = R"([Ee]xit(?:ed with exit)? code (?<exit>\d+)|Done successfully)";
    c.resultNone = "is not found";
    c.resultWallTime = "TERM_RUNLIMIT";
    c.resultMemory = "TERM_MEMLIMIT";
    c.resultNode = "TERM_ZOMBIE";
    c.cancel = {"bkill", "{id}"};
    c.cancelGone = "has already finished|No matching job|is not found";
    return c;
}

/// oarsub(1), oarstat(1), oardel(1) of OAR 2.5. The result is that of the name: an id may be
/// another job's.
CommandConfig oar() {
    CommandConfig c;
    c.submit = {"oarsub",
                "-n",
                "{name}",
                "-d",
                "{folder}",
                "-O",
                "{output}",
                "-E",
                "{output}",
                "-l",
                "walltime={wall_time}",
                "{options}",
                "[-q {queue}]",
                "[--project={account}]",
                "/bin/sh {script}"};
    c.submitId = R"(OAR_JOB_ID=(?<id>[1-9]\d*))";
    // `please verify your request syntax` it also says when its database failed.
    c.submitRefused =
        R"(The queue \S* does not exist|Bad resource request \(ERROR: +(?:column|syntax)|)"
        R"(There are not enough resources|not allowed)";
    c.status = {"oarstat", "-u", "{user}", "-J"};
    c.statusEmpty = R"(\A\s*\z)";
    c.statusJson = ".";
    c.statusMembers = {"state=state", "name=name", "reason=message"};
    c.heldStates = "Hold";
    c.pendingStates = "Waiting|toLaunch|toAckReservation";
    c.runningStates = "Launching|Running|Suspended|Resuming|Finishing";
    c.endedStates = "Terminated|Error|toError";
    c.result = {"oarstat", "-f", "--sql", "job_name = '{name}' AND job_user = '{user}'"};
    c.resultEnd = R"(^    exit_code = \d+ \((?<exit>\d+),(?<signal>\d+),\d+\)$)";
    // Of a job that was removed it knows no more than that it is over.
    c.resultNone =
        R"(\A\s*\z|^    state = Error\n(?!(?:.+\n)*?(?:    exit_code = |\S+ \S+> WALLTIME:)))";
    c.resultWallTime = R"(^\S+ \S+> WALLTIME:)";
    c.cancel = {"oardel", "{id}"};
    c.cancelGone = "already killed|Cannot frag";
    return c;
}

/// flux-submit(1), flux-jobs(1), flux-cancel(1) of flux-core 0.50 and later.
CommandConfig flux() {
    CommandConfig c;
    c.submit = {"flux",
                "submit",
                "--job-name={name}",
                "--cwd={folder}",
                "--output={output}",
                "--time-limit={wall_minutes}m",
                "{options}",
                "[--cores-per-task={cpus}]",
                "[--gpus-per-task={gpus}]",
                "[--queue={queue}]",
                "[--bank={account}]",
                "/bin/sh",
                "{script}"};
    c.submitId = R"((?<id>\S+))";
    c.submitRefused = "Invalid|unsatisfiable|invalid";
    c.status = {"flux", "jobs",          "-n",
                "-a",   "--count=10000", "--format={id.dec} {status_abbrev} {name} {ranks:h}"};
    c.statusJob = R"(^(?<id>\d+) (?<state>\w+) (?<name>\S+) .*\n)";
    c.pendingStates = "D|P|S";
    c.runningStates = "R|C";
    c.endedStates = "CD|F|CA|I";
    c.failedStates = {};
    c.result = {"flux", "jobs", "-n", "--format={returncode} {result}", "{id}"};
    c.resultEnd = R"(^(?<exit>\d+) \w+)";
    c.resultWallTime = "TIMEOUT";
    c.cancel = {"flux", "cancel", "{id}"};
    c.cancelGone = "inactive|unknown job";
    return c;
}

}  // namespace

std::optional<CommandConfig> commandPreset(std::string_view name) {
    static const std::map<std::string_view, CommandConfig (*)()> presets{
        {"flux", flux}, {"lsf", lsf},        {"oar", oar},
        {"pbs", pbs},   {"sge", gridEngine}, {"torque", torque}};
    const auto found = presets.find(name);
    return found == presets.end() ? std::nullopt : std::optional(found->second());
}

CommandValues submitValues(const BatchJob& job, const std::string& folder, const std::string& user,
                           WallTime now) {
    const auto limit = runTime(job, now) + kAfterDeadline;
    const auto whole = std::chrono::duration_cast<hours>(limit);
    CommandValues values{
        {"name", job.key.value},
        {"folder", folder},
        {"script", folder + "/in/" + kLoaderName},
        {"output", folder + "/out/batch.log"},
        {"user", user},
        {"wall_seconds", std::to_string(seconds(limit).count())},
        {"wall_minutes", std::to_string(limit.count())},
        {"wall_time", fmt::format("{:02}:{:02}:00", whole.count(), (limit - whole).count())}};
    addResources(values, job.resources);
    return values;
}

std::vector<std::string> filled(std::span<const std::string> words, const CommandValues& values,
                                std::span<const std::string> options) {
    std::vector<std::string> result;
    for (const auto& word : words) {
        if (word == "{options}") {
            result.insert(result.end(), options.begin(), options.end());
            continue;
        }
        const auto group = groupOf(word);
        if (group.empty()) {
            result.push_back(withValues(word, values));
        } else if (hasAll(word, values)) {
            for (const auto& each : group) {
                result.push_back(withValues(each, values));
            }
        }
    }
    return result;
}

bool asksFor(std::span<const std::string> words, std::string_view name) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return !groupOf(word).empty() && word.find("{" + std::string(name) + "}") != word.npos;
    });
}

std::optional<std::string> unknownValue(std::span<const std::string> words,
                                        std::span<const std::string_view> known) {
    for (const auto& word : words) {
        std::size_t at = 0;
        while (const auto hole = nextHole(word, at)) {
            if (std::find(known.begin(), known.end(), hole->name) == known.end()) {
                return word.substr(hole->begin, hole->length);
            }
            at = hole->begin + hole->length;
        }
    }
    return std::nullopt;
}

}  // namespace gridbridge
