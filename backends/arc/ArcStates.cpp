#include "backends/arc/ArcStates.h"

#include <algorithm>
#include <map>

namespace gridbridge {
namespace {

enum class Phase { Waiting, Inside, Final, Gone };

const std::map<std::string, Phase, std::less<>>& phases() {
    static const std::map<std::string, Phase, std::less<>> kPhases{
        {"ACCEPTING", Phase::Waiting}, {"ACCEPTED", Phase::Waiting},
        {"PREPARING", Phase::Waiting}, {"PREPARED", Phase::Waiting},
        {"SUBMITTING", Phase::Inside}, {"QUEUING", Phase::Inside},
        {"RUNNING", Phase::Inside},    {"HELD", Phase::Inside},
        {"OTHER", Phase::Inside},      {"EXITINGLRMS", Phase::Inside},
        {"EXECUTED", Phase::Inside},   {"FINISHING", Phase::Inside},
        {"KILLING", Phase::Inside},    {"FINISHED", Phase::Final},
        {"FAILED", Phase::Final},      {"KILLED", Phase::Final},
        {"WIPED", Phase::Gone},        {"None", Phase::Gone}};
    return kPhases;
}

bool isIn(const std::string& state, Phase phase) {
    const auto found = phases().find(state);
    return found != phases().end() && found->second == phase;
}

bool isOneOf(const std::string& text, std::initializer_list<const char*> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

/// Whether the batch system behind ARC says one of these, in small letters, whatever its letters.
bool tells(const std::string& failed, std::initializer_list<const char*> phrases) {
    if (!failed.starts_with("LRMS error:")) {
        return false;
    }
    std::string words;  // Each with a blank on both sides.
    for (const char c : " " + failed + " ") {
        const bool isUpper = c >= 'A' && c <= 'Z';
        const bool isWord = isUpper || (c >= 'a' && c <= 'z');
        words += isUpper ? static_cast<char>(c - 'A' + 'a') : isWord ? c : ' ';
    }
    return std::any_of(phrases.begin(), phrases.end(), [&](const char* phrase) {
        return words.find(std::string(" ") + phrase + " ") != std::string::npos;
    });
}

/// From `LRMS error: (3) ...`; what its batch system ended a job with that could not say so itself.
std::optional<std::int64_t> codeIn(const std::string& failed) {
    const auto open = failed.find('(');
    const auto close = failed.find(')', std::min(open, failed.size()));
    if (!failed.starts_with("LRMS error: (") || close == std::string::npos) {
        return std::nullopt;
    }
    return arcNumber(failed.substr(open + 1, close - open - 1));
}

/// A shell adds 128 to a signal, ARC's scan of Slurm 256.
void setCode(std::int64_t code, Observation& seen) {
    constexpr std::int64_t kMostSignal = 64;
    for (const std::int64_t base : {256, 128}) {
        if (code > base && code <= base + kMostSignal) {
            seen.signal = static_cast<int>(code - base);
            return;
        }
    }
    if (code >= 0 && code < 256) {
        seen.exitCode = static_cast<int>(code);
    }
}

EndCause causeOf(const std::string& state, const ArcPast& past, const Observation& seen) {
    const bool canceled = arcField(past.local, "failedcause") == "client" ||
                          past.failed.starts_with("Job is canceled by external request");
    // Its own wrapper may have ended it before ARC did.
    const bool ended = past.removed && (seen.signal == 9 || seen.signal == 15);
    if (canceled || ended) {
        return past.removed ? EndCause::RemovedByUs : EndCause::RemovedByOther;
    }
    if (state == "FINISHED") {
        return EndCause::Exited;
    }
    // Before its exit code, which a batch system that ends a job makes up.
    if (tells(past.failed, {"timeout", "time limit", "walltime", "wall time", "wall clock"})) {
        return EndCause::WallTimeLimit;
    }
    if (tells(past.failed, {"memory limit", "out of memory", "oom"})) {
        return EndCause::MemoryLimit;
    }
    if (tells(past.failed, {"node fail", "died unexpectedly"}) ||
        past.failed.starts_with("Job submission to LRMS failed")) {
        return EndCause::NodeFailure;
    }
    return seen.exitCode || seen.signal ? EndCause::Exited : EndCause::Unknown;
}

Usage usageOf(const ArcFields& diagnosis) {
    Usage usage;
    if (const auto seconds = arcNumber(arcField(diagnosis, "walltime"));
        seconds && *seconds >= 0 && *seconds < 1'000'000'000) {
        usage.elapsed = std::chrono::seconds(*seconds);
    }
    const auto user = arcDuration(arcField(diagnosis, "UserTime"));
    const auto kernel = arcDuration(arcField(diagnosis, "KernelTime"));
    if (user && kernel) {
        usage.cpu = *user + *kernel;
    }
    auto memory = arcField(diagnosis, "MaxResidentMemory");
    if (memory.ends_with("kB")) {
        memory.resize(memory.size() - 2);
        constexpr std::int64_t kMost = std::int64_t{1} << 50;
        if (const auto kib = arcNumber(memory); kib && *kib > 0 && *kib < kMost) {
            usage.memory = *kib * 1024;
        }
    }
    return usage;
}

}  // namespace

const char* const kArcStates =
    "ACCEPTING,ACCEPTED,PREPARING,PREPARED,SUBMITTING,QUEUING,RUNNING,HELD,OTHER,EXITINGLRMS,"
    "EXECUTED,FINISHING,KILLING,FINISHED,FAILED,KILLED,WIPED";

bool isArcWaiting(const std::string& state) {
    return isIn(state, Phase::Waiting);
}
bool isArcFinal(const std::string& state) {
    return isIn(state, Phase::Final);
}
bool isArcGone(const std::string& state) {
    return isIn(state, Phase::Gone);
}
bool isArcInside(const std::string& state) {
    return !isArcWaiting(state) && !isArcFinal(state) && !isArcGone(state);
}

bool wasArcKilledEarly(const ArcPast& past) {
    return arcField(past.local, "failedcause") == "client" &&
           isOneOf(arcField(past.local, "failedstate"), {"ACCEPTED", "PREPARING"});
}

Observation arcEnd(const std::string& state, const ArcPast& past) {
    Observation seen;
    seen.state = BatchState::Ended;
    seen.reason = past.failed;
    seen.node = arcField(past.diagnosis, "nodename");
    seen.startedAt = arcTime(arcField(past.diagnosis, "LRMSStartTime"));
    seen.endedAt = arcTime(arcField(past.diagnosis, "LRMSEndTime"));
    seen.usage = usageOf(past.diagnosis);
    // What the batch system says of a failure; the diagnosis is a file that the job can write.
    const auto told = arcNumber(arcField(past.diagnosis, "exitcode"));
    const auto failed = codeIn(past.failed).value_or(-1);
    setCode(failed >= 0 ? failed : told.value_or(state == "FINISHED" ? 0 : -1), seen);
    seen.cause = causeOf(state, past, seen);
    if (seen.cause != EndCause::Exited) {
        seen.exitCode.reset();
        seen.signal.reset();
    } else {
        seen.reason.clear();
    }
    // A script may have removed its marker, or its node keeps it to itself.
    seen.started = past.marked || !isOneOf(arcField(past.local, "failedstate"),
                                           {"ACCEPTED", "PREPARING", "SUBMIT"});
    return seen;
}

Observation arcObservation(const std::string& state, bool started, const std::string& told) {
    Observation seen;
    seen.state = BatchState::Pending;
    seen.started = started;
    if (started || isOneOf(told, {"RUNNING", "EXITINGLRMS", "EXECUTED", "FINISHING"})) {
        seen.state = BatchState::Running;
    } else if (state == "HELD" || told == "HELD") {
        seen.state = BatchState::Held;
        seen.reason = "it is held in the batch system behind ARC";
    } else if (isArcWaiting(state)) {
        seen.reason = "ARC waits for its files, or until more jobs may run (" + state + ")";
    } else if (isArcInside(state)) {
        seen.reason = "it is in the queue of the batch system behind ARC (" +
                      (told.empty() ? state : told) + ")";
    }
    return seen;
}

}  // namespace gridbridge
