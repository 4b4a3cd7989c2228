#include "backends/diracx/DiracxStates.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

namespace gridbridge {
namespace {

enum class Phase { Waiting, Running, Final };

/// All states of DIRAC 9, with what DiracX knows of them.
const std::map<std::string, Phase, std::less<>>& phases() {
    static const std::map<std::string, Phase, std::less<>> kPhases{
        {"Submitting", Phase::Waiting}, {"Received", Phase::Waiting},
        {"Checking", Phase::Waiting},   {"Scouting", Phase::Waiting},
        {"Staging", Phase::Waiting},    {"Waiting", Phase::Waiting},
        {"Matched", Phase::Waiting},    {"Rescheduled", Phase::Waiting},
        {"Running", Phase::Running},    {"Stalled", Phase::Running},
        {"Completing", Phase::Running}, {"Completed", Phase::Final},
        {"Done", Phase::Final},         {"Failed", Phase::Final},
        {"Killed", Phase::Final},       {"Deleted", Phase::Final}};
    return kPhases;
}

enum class Stage { Queue, Starting, Script };

struct Minor {
    Stage stage;     ///< How far a job with it has come.
    EndCause cause;  ///< Of one that failed with it.
};

constexpr Minor kInQueue{Stage::Queue, EndCause::NodeFailure};
constexpr Minor kStarting{Stage::Starting, EndCause::NodeFailure};
constexpr Minor kInScript{Stage::Script, EndCause::NodeFailure};
constexpr Minor kEnded{Stage::Script, EndCause::Exited};
constexpr Minor kOverTime{Stage::Script, EndCause::WallTimeLimit};
constexpr Minor kNoPlace{Stage::Queue, EndCause::NeverRunnable};

/// All minor states of DIRAC 9. Those with a number in them are in minorOf().
constexpr std::pair<std::string_view, Minor> kMinors[] = {
    {"", kInQueue},
    {"Job accepted", kInQueue},
    {"Bulk transaction confirmation", kInQueue},
    {"JobPath", kInQueue},
    {"JobSanity", kInQueue},
    {"InputData", kInQueue},
    {"JobScheduling", kInQueue},
    {"Pilot Agent Submission", kInQueue},
    {"Assigned", kInQueue},
    {"Job Received by Agent", kInQueue},
    {"Submitted To CE", kInQueue},
    {"Job Rescheduled", kInQueue},
    {"Going to reschedule job", kInQueue},
    {"Maximum of reschedulings reached", kInQueue},
    {"Marked for termination", kInQueue},
    {"Received Kill signal", kInQueue},
    {"Job Wrapper Initialization", kStarting},
    {"Job Initialization", kStarting},
    {"JobWrapper execution", kStarting},
    {"Downloading InputSandbox", kStarting},
    {"Downloading InputSandbox LFN(s)", kStarting},
    {"Failed Downloading InputSandbox", kStarting},
    {"Failed Downloading InputSandbox LFN(s)", kStarting},
    {"Input Data Resolution", kStarting},
    {"Application not found", kStarting},
    {"Application thread failed", kInScript},
    {"Application thread did not complete", kInScript},
    {"Exception During Execution", kInScript},
    {"Failed sending requests", kInScript},
    {"Job has insufficient disk space to continue", kInScript},
    {"Watchdog identified this job as stalled", kInScript},
    {"Job stalled: pilot not running", kInScript},
    {"Application", kInScript},
    {"Application Finished Successfully", kEnded},
    {"Application Finished With Errors", kEnded},
    {"Resolving Output Sandbox", kEnded},
    {"Uploading Output Sandbox", kEnded},
    {"Output Sandbox Uploaded", kEnded},
    {"Uploading Output Data", kEnded},
    {"Output Data Uploaded", kEnded},
    {"Uploading Outputs", kEnded},
    {"Pending Requests", kEnded},
    {"Requests done", kEnded},
    {"Execution Complete", kEnded},
    {"Job has reached the CPU limit of the queue", kOverTime},
    {"Job has exceeded maximum wall clock time", kOverTime},
    {"Illegal Job JDL", kNoPlace},
    {"Input Data Not Available", kNoPlace},
    {"No candidate sites available", kNoPlace},
};

std::optional<Minor> minorOf(const std::string& text) {
    if (text.starts_with("Stalling for more than ")) {
        return kInScript;
    }
    const auto* const found = std::find_if(std::begin(kMinors), std::end(kMinors),
                                           [&](const auto& each) { return each.first == text; });
    return found == std::end(kMinors) ? std::nullopt : std::optional(found->second);
}

/// Whether with this entry the script may have started; `ran`: there was a Running before, whatever
/// it said, for what was to follow it may be lost. An unknown word on a node may mean that.
bool mayHaveStarted(const DiracxEvent& event, bool ran) {
    const auto phase = phases().find(event.status);
    if (phase == phases().end() || phase->second == Phase::Waiting) {
        return false;
    }
    if (event.status == "Completing" || event.status == "Completed" || event.status == "Done") {
        return true;
    }
    const auto minor = minorOf(event.minor);
    const bool inScript = !minor || minor->stage == Stage::Script;
    if (event.status == "Running") {
        return inScript || event.source == "Heartbeat";  // Those begin with the script.
    }
    return ran && (event.status == "Stalled" || (event.status == "Failed" && inScript));
}

std::string applicationOf(const DiracxJob& job) {
    return job.application.empty() || job.application == "Unknown" ? "" : ": " + job.application;
}

bool isPlace(const std::string& site) {
    return !site.empty() && site != "ANY" && site != "Multiple" && site != "Unknown";
}

std::string atSite(const DiracxJob& job) {
    return isPlace(job.site) ? " at " + job.site : "";
}

std::string waitsFor(const DiracxJob& job, const std::string& asks) {
    if (job.status == "Received" || job.status == "Submitting") {
        return "DIRAC has accepted it, and its optimizers have not looked at it yet";
    }
    if (job.status == "Checking") {
        return job.application.empty() || job.application == "Unknown"
                   ? "DIRAC's optimizer " + job.minor + " looks at it"
                   : "DIRAC's optimizer " + job.minor + " holds it";
    }
    if (job.status == "Waiting") {
        return "no pilot that fits it has asked for a job yet" +
               (asks.empty() ? "" : " (" + asks + ")");
    }
    if (job.status == "Matched") {
        return "a pilot" + atSite(job) + " has taken it (" + job.minor + ")";
    }
    if (job.status == "Staging") {
        return "its input data are being staged";
    }
    if (job.status == "Scouting") {
        return "DIRAC waits for its scout jobs";
    }
    return job.status + (job.minor.empty() ? "" : " (" + job.minor + ")");
}

/// As DIRAC calls it.
std::string words(const DiracxJob& job) {
    return job.status + (job.minor.empty() ? "" : " (" + job.minor + ")") + applicationOf(job);
}

void endOf(const DiracxJob& job, const DiracxPast& past, Observation& seen) {
    seen.state = BatchState::Ended;
    seen.endedAt = job.endedAt;
    seen.reason = words(job);
    // A kill that DIRAC took back, for the job had failed before it, ended nothing.
    const bool ours = past.killedByUs && (job.status == "Killed" || job.status == "Deleted");
    if (job.status == "Done" || job.status == "Completed") {
        seen.cause = EndCause::Exited;
    } else if (ours && past.killedFor == kDiracxNotAgain) {
        seen.cause = EndCause::NodeFailure;
        seen.reason =
            "DIRAC put the job back into its queue after its script had started, and it is not to "
            "start twice (reruns = \"kill\")";
    } else if (ours) {
        seen.cause = EndCause::RemovedByUs;
        seen.reason = past.started ? "DIRAC has killed the job; what runs of it on its node may go "
                                     "on until its next heartbeat, up to half an hour"
                                   : "";
    } else if (job.status != "Failed") {
        seen.cause = EndCause::RemovedByOther;
    } else if (const auto minor = minorOf(job.minor)) {
        seen.cause = minor->cause;
    } else {
        seen.cause = EndCause::Unknown;
    }
}

}  // namespace

bool isDiracxFinal(const std::string& status) {
    const auto found = phases().find(status);
    return found != phases().end() && found->second == Phase::Final;
}

bool isDiracxWaiting(const std::string& status) {
    const auto found = phases().find(status);
    return found == phases().end() || found->second == Phase::Waiting;
}

bool needsDiracxHistory(const DiracxJob& job) {
    return job.reschedules > 0 || job.startedAt || !isDiracxWaiting(job.status) ||
           job.status == "Rescheduled";
}

DiracxPast pastOf(const DiracxJob& job) {
    DiracxPast past;
    bool killed = false;
    bool ran = false;
    bool gone = false;
    for (const auto& event : job.history) {
        if (gone && event.status == "Received") {  // The id was given to another job.
            past = {};
            killed = ran = false;
        }
        gone = event.status == "Deleted" || (gone && event.status != "Received");
        past.newest = std::max(past.newest, event.at);
        // Of another job that was purged and had the same id. A node's clock may be hours behind.
        if (event.at + std::chrono::hours(24) < job.submittedAt) {
            continue;
        }
        if (event.status == "Received" || event.status == "Rescheduled") {
            past.startedBefore = past.started;
        }
        past.started = past.started || mayHaveStarted(event, ran);
        ran = ran || event.status == "Running";
        if ((event.status == "Killed" || event.status == "Deleted") &&
            !std::exchange(killed, true)) {
            past.killedByUs = event.source == kDiracxSource;
            past.killedFor = past.killedByUs ? event.application : "";
        }
    }
    const DiracxEvent row{job.status, job.minor, job.application, {}, {}};
    past.started = past.started || mayHaveStarted(row, ran);
    return past;
}

Observation observationOf(const DiracxJob& job, const DiracxPast& past, const std::string& asks) {
    Observation seen;
    seen.run = job.reschedules + 1;
    seen.started = past.started;
    seen.node = isPlace(job.site) ? job.site : "";
    const auto phase = phases().find(job.status);
    if (phase == phases().end() || phase->second == Phase::Waiting) {
        seen.state = BatchState::Pending;
        seen.node.clear();
        seen.reason = waitsFor(job, asks) + applicationOf(job);
        return seen;
    }
    seen.startedAt = job.startedAt;
    if (phase->second == Phase::Final) {
        endOf(job, past, seen);
        return seen;
    }
    seen.state = BatchState::Running;
    seen.reason = job.status == "Stalled" ? words(job) : "";
    return seen;
}

std::string unknownDiracxState(const DiracxJob& job) {
    if (!phases().contains(job.status)) {
        return "DIRAC calls a job \"" + job.status +
               "\", which is not known here; it counts as waiting";
    }
    if (!minorOf(job.minor)) {
        return "DIRAC says \"" + job.minor + "\" of a job that is " + job.status +
               ", which is not known here";
    }
    return "";
}

bool leavesDiracxFiles(const Observation& seen) {
    const bool ended = seen.cause == EndCause::Exited || seen.cause == EndCause::WallTimeLimit ||
                       seen.cause == EndCause::Unknown;
    return seen.started && ended;
}

}  // namespace gridbridge
