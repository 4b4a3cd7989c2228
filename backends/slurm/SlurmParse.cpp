#include "backends/slurm/SlurmParse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "backends/api/SchedulerCommands.h"
#include "backends/slurm/SlurmReasons.h"

namespace gridbridge {
namespace {

struct StateWord {
    std::string_view word;
    BatchState state;
    EndCause cause;
};

/// squeue(1), JOB STATE CODES. What is not here is Unknown.
constexpr std::array<StateWord, 25> kStates{{
    {"PENDING", BatchState::Pending, EndCause::None},
    {"CONFIGURING", BatchState::Pending, EndCause::None},
    {"REQUEUED", BatchState::Pending, EndCause::None},
    {"POWER_UP_NODE", BatchState::Pending, EndCause::None},
    {"LAUNCH_FAILED", BatchState::Pending, EndCause::None},
    {"REQUEUE_HOLD", BatchState::Held, EndCause::None},
    {"RESV_DEL_HOLD", BatchState::Held, EndCause::None},
    {"SPECIAL_EXIT", BatchState::Held, EndCause::None},
    {"RUNNING", BatchState::Running, EndCause::None},
    {"COMPLETING", BatchState::Running, EndCause::None},
    {"SUSPENDED", BatchState::Running, EndCause::None},
    {"STOPPED", BatchState::Running, EndCause::None},
    {"SIGNALING", BatchState::Running, EndCause::None},
    {"RESIZING", BatchState::Running, EndCause::None},
    {"STAGE_OUT", BatchState::Running, EndCause::None},
    {"COMPLETED", BatchState::Ended, EndCause::Exited},
    {"FAILED", BatchState::Ended, EndCause::Exited},
    {"CANCELLED", BatchState::Ended, EndCause::RemovedByOther},
    {"TIMEOUT", BatchState::Ended, EndCause::WallTimeLimit},
    {"DEADLINE", BatchState::Ended, EndCause::WallTimeLimit},
    {"NODE_FAIL", BatchState::Ended, EndCause::NodeFailure},
    {"BOOT_FAIL", BatchState::Ended, EndCause::NodeFailure},
    {"PREEMPTED", BatchState::Ended, EndCause::Preempted},
    {"OUT_OF_MEMORY", BatchState::Ended, EndCause::MemoryLimit},
    {"REVOKED", BatchState::Unknown, EndCause::None},
}};

const StateWord* stateOf(std::string_view word) {
    const auto* const found = std::find_if(
        kStates.begin(), kStates.end(), [&](const StateWord& each) { return each.word == word; });
    return found == kStates.end() ? nullptr : found;
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(' ');
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(" \r") + 1 - begin);
}

template <typename T>
std::optional<T> number(std::string_view text) {
    T value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() && value >= 0
               ? std::optional(value)
               : std::nullopt;
}

/// One line, field by field.
class Fields {
public:
    explicit Fields(std::string_view line) : rest_(line) {}

    std::string_view next() {
        const auto at = rest_.find('|');
        good_ = good_ && !rest_.empty();
        const auto field = rest_.substr(0, at);
        rest_ = at == std::string_view::npos ? std::string_view() : rest_.substr(at + 1);
        return trimmed(field);
    }
    std::string_view rest() const { return trimmed(rest_); }
    void require(bool sense) { good_ = good_ && sense; }
    bool good() const { return good_; }

    RemoteId id() {
        const auto text = next();
        require(number<std::uint64_t>(text).has_value());
        return {std::string(text)};
    }
    /// `CANCELLED by 1002`, `CANCELLED+`: the first word.
    std::string state() {
        const auto text = next();
        const auto end = text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        require(end != 0 && !text.empty());
        return std::string(text.substr(0, end));
    }
    std::optional<WallTime> time() {
        const auto text = next();
        const auto value = wallTimeOf(number<std::int64_t>(text).value_or(-1));
        const bool none = text == "N/A" || text == "Unknown" || text == "None" || text == "0";
        require(none || value.has_value());
        return none ? std::nullopt : value;
    }

private:
    std::string_view rest_;
    bool good_ = true;
};

/// A raw wait status, or `status:signal`.
bool takeExit(SlurmJob& job, std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) {
        const auto raw = number<int>(text);
        if (!raw) {
            return false;
        }
        const int signal = *raw & 0x7f;
        (signal != 0 ? job.signal : job.exitCode) = signal != 0 ? signal : (*raw >> 8) & 0xff;
        return true;
    }
    const auto status = number<int>(text.substr(0, colon));
    const auto signal = number<int>(text.substr(colon + 1));
    if (!status || !signal) {
        return false;
    }
    (*signal != 0 ? job.signal : job.exitCode) = *signal != 0 ? *signal : *status;
    return true;
}

struct Named {
    std::string name;
    SlurmJob job;
};

/// What is only expected, or no more true, is left out.
void keepWhatHappened(SlurmJob& job) {
    if (job.node.empty() || job.node == "None assigned" || isWaiting(job)) {
        job.node.clear();
        job.startedAt.reset();
    }
    if (!hasEnded(job)) {
        job.endedAt.reset();
        job.exitCode.reset();
        job.signal.reset();
    }
}

std::optional<Named> queueLine(std::string_view line) {
    Fields fields(line);
    Named found;
    auto& job = found.job;
    job.id = fields.id();
    job.state = fields.state();
    const auto submitted = fields.time();
    job.startedAt = fields.time();
    job.endedAt = fields.time();
    fields.require(takeExit(job, fields.next()));
    const auto restarts = number<int>(fields.next());
    job.node = std::string(fields.next());
    found.name = std::string(fields.next());
    job.reason = lastLineOf(fields.rest());
    if (!fields.good() || !submitted || !restarts) {
        return std::nullopt;
    }
    job.submittedAt = *submitted;
    job.run = *restarts + 1;
    job.reason = job.reason == "None" ? "" : job.reason;
    keepWhatHappened(job);
    return found;
}

std::optional<Named> historyLine(std::string_view line) {
    Fields fields(line);
    Named found;
    auto& job = found.job;
    job.id = fields.id();
    job.state = fields.state();
    const auto submitted = fields.time();
    job.startedAt = fields.time();
    job.endedAt = fields.time();
    fields.require(takeExit(job, fields.next()));
    job.node = std::string(fields.next());
    found.name = std::string(fields.rest());
    if (!fields.good() || !submitted) {
        return std::nullopt;
    }
    job.submittedAt = *submitted;
    keepWhatHappened(job);
    if (job.exitCode && job.state != "COMPLETED") {
        job.exitCode.reset();
    }
    return found;
}

/// Of two jobs of one name the one that may still run counts, else the later one.
bool outranks(const SlurmJob& job, const SlurmJob& other) {
    if (hasEnded(job) != hasEnded(other)) {
        return !hasEnded(job);
    }
    return job.submittedAt >= other.submittedAt;
}

template <typename Line>
SlurmListing parseLines(std::string_view out, const char* command, const Line& parse) {
    SlurmListing listing;
    const auto trouble = [&](std::string_view line) {
        if (listing.trouble.empty()) {
            listing.trouble = std::string("cannot read a line of ") + command + ": \"" +
                              lastLineOf(line.substr(0, 100)) + "\"";
        }
    };
    while (!out.empty()) {
        const auto end = out.find('\n');
        const auto line = out.substr(0, end);
        out = end == std::string_view::npos ? std::string_view() : out.substr(end + 1);
        auto found = end == std::string_view::npos ? std::nullopt : parse(line);
        if (!found) {
            trouble(line);
        } else if (isOurName(found->name)) {
            const auto [known, isNew] = listing.jobs.try_emplace(found->name, found->job);
            if (!isNew && outranks(found->job, known->second)) {
                known->second = std::move(found->job);
            }
        }
    }
    return listing;
}

/// `1-02:03:04`, `02:03:04`, `03:04.567`.
std::optional<Millis> cpuTime(std::string_view text) {
    std::int64_t days = 0;
    if (const auto dash = text.find('-'); dash != std::string_view::npos) {
        days = number<std::int64_t>(text.substr(0, dash)).value_or(-1);
        text.remove_prefix(dash + 1);
    }
    const auto dot = std::min(text.find('.'), text.size());
    auto millis = dot == text.size() ? 0 : number<int>(text.substr(dot + 1)).value_or(-1);
    std::int64_t seconds = 0;
    int parts = 0;
    for (auto rest = text.substr(0, dot); parts < 4; ++parts) {
        const auto colon = rest.find(':');
        const auto part = number<std::int64_t>(rest.substr(0, colon));
        if (!part || *part > 100'000) {
            return std::nullopt;
        }
        seconds = seconds * 60 + *part;
        if (colon == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(colon + 1);
    }
    const bool good =
        days >= 0 && days < 100'000 && millis >= 0 && millis < 1000 && (parts == 1 || parts == 2);
    return good ? std::optional(Millis((days * 86400 + seconds) * 1000 + millis)) : std::nullopt;
}

/// `55772K`, `1.50G`, `141213696`.
std::optional<std::int64_t> bytesOf(std::string_view text) {
    constexpr std::string_view kUnits = "KMGTP";
    double factor = 1;
    if (const auto unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
        unit != std::string_view::npos) {
        factor = std::pow(1024.0, static_cast<double>(unit + 1));
        text.remove_suffix(1);
    }
    const auto value = number<double>(text);
    constexpr double kMost = 1e18;
    return value && *value * factor < kMost
               ? std::optional(static_cast<std::int64_t>(*value * factor))
               : std::nullopt;
}

bool saysAny(std::string_view text, std::initializer_list<std::string_view> sentences) {
    return std::any_of(sentences.begin(), sentences.end(), [&](std::string_view each) {
        return text.find(each) != std::string_view::npos;
    });
}

/// The user's sentence, without what stands before each of Slurm's lines.
std::string sentenceOf(const std::string& err) {
    auto line = lastLineOf(err);
    for (const std::string_view prefix : {"sbatch: error: ", "Batch job submission failed: "}) {
        if (line.starts_with(prefix)) {
            line.erase(0, prefix.size());
        }
    }
    return line;
}

std::optional<std::string> idOf(const std::string& out) {
    const auto line = lastLineOf(out);
    const auto id = line.substr(0, line.find(';'));
    const bool isWhole = out.ends_with('\n') && number<std::uint64_t>(id).has_value() &&
                         line.find_first_of(" \t") == std::string::npos;
    return isWhole ? std::optional(id) : std::nullopt;
}

}  // namespace

SlurmListing parseQueue(std::string_view out) {
    return parseLines(out, "squeue", queueLine);
}

SlurmListing parseHistory(std::string_view out) {
    return parseLines(out, "sacct", historyLine);
}

std::map<std::string, SlurmUsage> parseUsage(std::string_view out) {
    std::map<std::string, SlurmUsage> all;
    std::map<std::string, std::string, std::less<>> names;  // Of the jobs, by id.
    while (!out.empty()) {
        Fields fields(out.substr(0, out.find('\n')));
        out.remove_prefix(std::min(out.find('\n'), out.size() - 1) + 1);
        const auto id = fields.next();
        const auto dot = id.find('.');
        const auto job = id.substr(0, dot);
        SlurmJob state;
        const auto word = fields.next();
        state.state = std::string(word.substr(0, word.find(' ')));
        const auto elapsed = number<std::int64_t>(fields.next());
        const auto cpu = cpuTime(fields.next());
        const auto memory = bytesOf(fields.next());
        if (dot == std::string_view::npos && fields.good() && hasEnded(state) &&
            isOurName(fields.rest())) {
            const std::string name(fields.rest());
            names.insert_or_assign(std::string(job), name);
            auto& found = all[name];
            if (elapsed && *elapsed < 1'000'000'000) {
                found.usage.elapsed = std::chrono::seconds(*elapsed);
            }
            found.usage.cpu = cpu != Millis(0) ? cpu : std::nullopt;
            constexpr std::string_view kBy = "CANCELLED by ";
            const auto by = word.starts_with(kBy) ? word.substr(kBy.size()) : "";
            found.canceledBy = number<std::uint32_t>(by) ? by : "";
        } else if (const auto known = names.find(job); known != names.end() && fields.good()) {
            auto& most = all[known->second].usage.memory;
            most = memory && *memory > 0 ? std::max(most.value_or(0), *memory) : most;
        }
    }
    return all;
}

Result<Submission> parseSubmission(const Finished& sbatch, WallTime now) {
    const auto sentence = sentenceOf(sbatch.err);
    if (sbatch.exitCode == 0) {
        if (auto id = idOf(sbatch.out)) {
            return Submission{.accepted = Accepted{{*id}, now}, .full = {}};
        }
        return uncertainError("sbatch gave no job id: " + lastLineOf(sbatch.out));
    }
    // slurm_errno.c and sbatch.c of 22.05 to 26.05.
    if (saysAny(sbatch.err, {"MaxSubmitJob", "temporarily unable to accept job", "job queue full",
                             "Resource temporarily unavailable"})) {
        return Submission{.accepted = {}, .full = Full{sentence}};
    }
    if (saysAny(sbatch.err, {"Unable to contact slurm controller", "Munge encode failed",
                             "Could not establish a configuration source", "cannot stat file",
                             "Required partition not available"})) {
        return transientError("sbatch: " + sentence);
    }
    const bool badOption = sbatch.exitCode == 255;
    if (badOption ||
        saysAny(
            sbatch.err,
            {"Batch job submission failed: Invalid ", "Requested node configuration",
             "Memory specification can not be satisfied", "Requested reservation is invalid",
             "More processors requested than permitted", "Requested time limit is invalid",
             "Job violates accounting/QOS policy", "Access/permission denied",
             "or other parameter too long", "Job dependency problem", "User's group not permitted",
             "Unable to open file", "does not look like a batch script", "Batch script is empty",
             "Node count specification invalid", "Duplicate job id"})) {
        return permanentError("Slurm refuses the job: " + sentence);
    }
    return uncertainError("sbatch: " + (sentence.empty() ? "it gave no answer" : sentence));
}

bool keepsNoHistory(const Finished& sacct) {
    return sacct.exitCode == 1 && saysAny(sacct.err, {"accounting storage is disabled"});
}

bool foundNothingToCancel(const Finished& scancel) {
    return scancel.exitCode == 1 && saysAny(scancel.err, {"Invalid job id specified"});
}

bool tellsOfMemory(std::string_view printed) {
    while (!printed.empty()) {
        const auto line = printed.substr(0, printed.find('\n'));
        if (line.starts_with("slurmstepd") &&
            line.find("Exceeded job memory limit") != std::string_view::npos) {
            return true;
        }
        printed.remove_prefix(std::min(line.size() + 1, printed.size()));
    }
    return false;
}

bool hasEnded(const SlurmJob& job) {
    const auto* const word = stateOf(job.state);
    return word != nullptr && word->state == BatchState::Ended;
}

bool isWaiting(const SlurmJob& job) {
    const auto* const word = stateOf(job.state);
    return word != nullptr &&
           (word->state == BatchState::Pending || word->state == BatchState::Held);
}

Observation observationOf(const SlurmJob& job, bool started, bool removed) {
    Observation seen;
    const auto* const word = stateOf(job.state);
    if (word == nullptr || word->state == BatchState::Unknown) {
        seen.reason = "Slurm calls the job " + job.state;
        return seen;
    }
    seen.state = word->state;
    seen.cause = word->cause;
    seen.run = job.run;
    seen.started = started;
    seen.node = job.node;
    seen.startedAt = job.startedAt;
    seen.endedAt = job.endedAt;
    seen.exitCode = job.exitCode;
    seen.signal = job.signal;
    seen.reason = job.reason;
    if (isWaiting(job)) {
        if (saysAny(job.reason, {"JobHeld", "held", "JobHoldMaxRequeue"})) {
            seen.state = BatchState::Held;
        }
        seen.reason = job.reason.empty() ? "the scheduler has not looked at it yet"
                                         : inPlainWords(job.reason);
    }
    if (job.startedAt && job.endedAt && *job.endedAt >= *job.startedAt) {
        seen.usage.elapsed = std::chrono::duration_cast<Millis>(*job.endedAt - *job.startedAt);
    }
    if (seen.cause == EndCause::RemovedByOther && removed) {
        seen.cause = EndCause::RemovedByUs;
    }
    // Its output could not be opened, or Slurm could not launch it: no script has that exit code.
    if (job.state == "FAILED" && !started) {
        seen.cause = EndCause::NodeFailure;
        seen.reason = "Slurm could not open the job's output or begin its script";
    }
    return seen;
}

}  // namespace gridbridge
