#include "backends/htcondor/HTCondorParse.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Handler.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <variant>

#include "backends/api/SchedulerCommands.h"
#include "backends/htcondor/HTCondorCommands.h"
#include "backends/htcondor/HTCondorReasons.h"
#include "backends/htcondor/HTCondorSpool.h"

namespace gridbridge {
namespace {

// JobStatus, docs/codes-other-values/job-status-codes.rst of HTCondor.
constexpr int kIdle = 1;
constexpr int kRunning = 2;
constexpr int kRemoved = 3;
constexpr int kCompleted = 4;
constexpr int kHeld = 5;
constexpr int kTransferringOutput = 6;
constexpr int kSuspended = 7;

using Value = std::variant<std::monostate, std::int64_t, double, bool, std::string>;
using Ad = std::map<std::string, Value, std::less<>>;

/// Reads a list of flat objects; whatever lies deeper makes it useless.
class AdReader final : public Poco::JSON::Handler {
public:
    void reset() override {}
    void startObject() override {
        flat_ = flat_ && inList_ && !inAd_;
        inAd_ = true;
        ads.emplace_back();
    }
    void endObject() override { inAd_ = false; }
    void startArray() override {
        flat_ = flat_ && !inList_;
        inList_ = true;
    }
    void endArray() override {}
    void key(const std::string& name) override { name_ = name; }
    void null() override { take({}); }
    void value(int number) override { take(std::int64_t{number}); }
    void value(unsigned number) override { take(std::int64_t{number}); }
    void value(Poco::Int64 number) override { take(std::int64_t{number}); }
    void value(Poco::UInt64 number) override { take(static_cast<double>(number)); }
    void value(const std::string& text) override { take(text); }
    void value(double number) override { take(number); }
    void value(bool flag) override { take(flag); }

    bool flat() const { return flat_ && inList_; }
    std::vector<Ad> ads;

private:
    void take(Value value) {
        flat_ = flat_ && inAd_;
        if (flat_) {
            ads.back().insert_or_assign(name_, std::move(value));
        }
    }

    std::string name_;
    bool inList_ = false;
    bool inAd_ = false;
    bool flat_ = true;
};

std::optional<std::vector<Ad>> adsOf(std::string_view out) {
    if (out.find_first_not_of(" \r\n") == std::string_view::npos) {
        return std::vector<Ad>();  // So condor_q says that there is none.
    }
    try {
        Poco::SharedPtr<AdReader> reader(new AdReader);
        Poco::JSON::Parser parser(reader);
        parser.setDepth(4);
        parser.parse(std::string(out));
        return reader->flat() ? std::optional(std::move(reader->ads)) : std::nullopt;
    } catch (const Poco::Exception&) {
        return std::nullopt;
    }
}

/// The attributes of one ad; what is undefined is absent.
class Attributes {
public:
    explicit Attributes(const Ad& ad) : ad_(ad) {}

    std::string text(std::string_view name) {
        return lastLineOf(get<std::string>(name).value_or(""));
    }
    bool flag(std::string_view name) { return get<bool>(name).value_or(false); }
    std::optional<int> number(std::string_view name) {
        const auto value = get<std::int64_t>(name);
        if (value && (*value < std::numeric_limits<int>::min() ||
                      *value > std::numeric_limits<int>::max())) {
            unreadable_ = name;
            return std::nullopt;
        }
        return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
    }
    std::optional<WallTime> time(std::string_view name) {
        const auto value = get<std::int64_t>(name);
        const auto time = wallTimeOf(value.value_or(0));
        if (!time) {
            unreadable_ = name;
        }
        return value && *value > 0 ? time : std::nullopt;
    }
    /// A number, whole or not; what makes no sense is left out.
    std::optional<double> amount(std::string_view name) {
        const auto found = ad_.find(name);
        const auto value = found == ad_.end() ? Value() : found->second;
        const auto* const whole = std::get_if<std::int64_t>(&value);
        const auto* const part = std::get_if<double>(&value);
        const double number = whole ? static_cast<double>(*whole) : part ? *part : -1;
        return number >= 0 && number < 1e12 ? std::optional(number) : std::nullopt;
    }
    /// Of seconds.
    std::optional<Millis> duration(std::string_view name) {
        const auto seconds = amount(name);
        return seconds ? std::optional(Millis(static_cast<std::int64_t>(*seconds * 1000)))
                       : std::nullopt;
    }
    template <typename T>
    T require(std::string_view name, std::optional<T> value) {
        if (!value) {
            unreadable_ = name;
        }
        return value.value_or(T{});
    }
    /// The name of one that makes no sense; empty = all do.
    const std::string& unreadable() const { return unreadable_; }

private:
    template <typename T>
    std::optional<T> get(std::string_view name) {
        const auto found = ad_.find(name);
        if (found == ad_.end() || std::holds_alternative<std::monostate>(found->second)) {
            return std::nullopt;
        }
        const auto* value = std::get_if<T>(&found->second);
        if (value == nullptr) {
            unreadable_ = name;
        }
        return value == nullptr ? std::nullopt : std::optional(*value);
    }

    const Ad& ad_;
    std::string unreadable_;
};

std::string nodeOf(const std::string& slot) {
    return slot.substr(slot.find('@') + 1);
}

/// Of all its runs; what makes no sense is left out.
Usage usageOf(Attributes& ad) {
    Usage usage;
    usage.elapsed = ad.duration("RemoteWallClockTime");
    const auto user = ad.duration("RemoteUserCpu");
    const auto system = ad.duration("RemoteSysCpu");
    if (user && system && *user + *system > Millis(0)) {
        usage.cpu = *user + *system;
    }
    if (const auto kib = ad.amount("ResidentSetSize_RAW"); kib && *kib >= 1) {
        usage.memory = static_cast<std::int64_t>(*kib) * 1024;
    }
    return usage;
}

HTCondorJob jobOf(Attributes& ad) {
    HTCondorJob job;
    job.id = std::to_string(ad.require("ClusterId", ad.number("ClusterId"))) + "." +
             std::to_string(ad.require("ProcId", ad.number("ProcId")));
    job.status = ad.require("JobStatus", ad.number("JobStatus"));
    job.submittedAt = ad.require("QDate", ad.time("QDate"));
    job.startedAt = ad.time("JobStartDate");
    job.completedAt = ad.time("CompletionDate");
    job.fetchedAt = ad.time("StageOutFinish");
    job.since = ad.require("EnteredCurrentStatus", ad.time("EnteredCurrentStatus"));
    job.starts = ad.number("NumShadowStarts").value_or(0);
    job.attended = ad.number("CurrentHosts").value_or(0) > 0;
    job.disconnected = ad.time("JobDisconnectedDate").has_value();
    job.holdCode = ad.number("HoldReasonCode").value_or(0);
    job.holdSubCode = ad.number("HoldReasonSubCode").value_or(0);
    job.vacateCode = ad.number("VacateReasonCode").value_or(0);
    if (job.completedAt) {  // An end that HTCondor brought about leaves such values too.
        const bool bySignal = ad.flag("ExitBySignal");
        const char* const name = bySignal ? "ExitSignal" : "ExitCode";
        (bySignal ? job.signal : job.exitCode) = ad.require(name, ad.number(name));
    }
    const auto now = ad.text("RemoteHost");
    job.node = nodeOf(now.empty() ? ad.text("LastRemoteHost") : now);
    job.holdReason = ad.text("HoldReason");
    job.removeReason = ad.text("RemoveReason");
    job.vacateReason = ad.text("VacateReason");
    job.matchReason = ad.text("LastRejMatchReason");
    job.usage = usageOf(ad);
    return job;
}

struct Standing {
    BatchState state = BatchState::Unknown;
    EndCause cause = EndCause::None;
};

/// docs/codes-other-values/hold-table.rst of HTCondor. For a job that was about to run or ran: it
/// is not started again, so that a release could only lead to its removal.
EndCause causeOfHold(const HTCondorJob& job) {
    constexpr int kOutOfMemory = 102;
    switch (job.holdCode) {
        case 12:  // The outputs did not come. What the node cannot send, a script may have spoilt.
            return job.holdReason.find("at execution point") == std::string::npos
                       ? EndCause::NodeFailure
                       : EndCause::Exited;
        case 32:  // max_transfer_input_mb
        case 33:  // max_transfer_output_mb
            return EndCause::Exited;
        case 1:   // condor_hold
        case 3:   // policy of the job
        case 5:   // the same, undefined
        case 26:  // policy of the schedd
        case 27:
            return EndCause::RemovedByOther;
        case 21:  // policy of the node
        case 34:  // resource limits of the node
            return job.holdSubCode == kOutOfMemory ? EndCause::MemoryLimit
                                                   : EndCause::RemovedByOther;
        case 46:  // allowed_job_duration
        case 47:  // allowed_execute_duration
            return EndCause::WallTimeLimit;
        default:  // What the job needs in order to begin or to end cannot be had there.
            return EndCause::NodeFailure;
    }
}

/// docs/codes-other-values/vacate-code-table.rst of HTCondor: somebody wanted its place. 23.9 says
/// 1005 where a user vacates a job.
bool isPreemption(int vacateCode) {
    constexpr std::array<int, 14> kCodes{1000, 1001, 1004, 1005, 1009, 1010, 1011,
                                         1013, 1014, 1015, 1016, 1018, 1019, 1022};
    return std::find(kCodes.begin(), kCodes.end(), vacateCode) != kCodes.end();
}

EndCause causeOfRemoval(const HTCondorJob& job) {
    if (job.completedAt) {
        return EndCause::Exited;  // Only its place in the queue was removed.
    }
    if (job.removeReason.starts_with(kNotWanted)) {
        return EndCause::RemovedByUs;
    }
    if (job.removeReason.starts_with(kPastDeadline)) {
        return EndCause::WallTimeLimit;
    }
    if (job.removeReason.starts_with(kNotAgain)) {
        return isPreemption(job.vacateCode) ? EndCause::Preempted : EndCause::NodeFailure;
    }
    return EndCause::RemovedByOther;
}

Standing standingOf(const HTCondorJob& job) {
    switch (job.status) {
        case kIdle:
            return {BatchState::Pending, EndCause::None};
        case kRunning:
        case kTransferringOutput:
        case kSuspended:
            return {BatchState::Running, EndCause::None};
        case kCompleted:
            return job.completedAt ? Standing{BatchState::Ended, EndCause::Exited} : Standing{};
        case kRemoved:
            return job.attended ? Standing{BatchState::Running, EndCause::None}
                                : Standing{BatchState::Ended, causeOfRemoval(job)};
        case kHeld:
            if (job.attended) {
                return {BatchState::Running, EndCause::None};
            }
            if (job.starts > 0) {
                return {BatchState::Ended, causeOfHold(job)};
            }
            return {isUnsent(job) ? BatchState::Pending : BatchState::Held, EndCause::None};
        default:
            return {};
    }
}

std::string reasonOf(const HTCondorJob& job) {
    switch (job.status) {
        case kIdle:
            if (job.starts > 0) {
                return "it lost its place and is not started again";
            }
            return whyNotMatched(job.matchReason);
        case kRunning:
            return job.disconnected ? "its node does not answer" : "";
        case kRemoved:
            return job.vacateReason.empty() || !job.removeReason.starts_with(kNotAgain)
                       ? job.removeReason
                       : job.vacateReason;
        case kHeld:
            return job.holdReason;
        case kSuspended:
            return "suspended";
        default:
            return "";
    }
}

bool saysAny(std::string_view text, std::initializer_list<std::string_view> sentences) {
    return std::any_of(sentences.begin(), sentences.end(), [&](std::string_view each) {
        return text.find(each) != std::string_view::npos;
    });
}

std::vector<std::string> linesOf(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (auto line = lastLineOf(text.substr(0, end)); !line.empty()) {
            lines.push_back(std::move(line));
        }
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return lines;
}

/// `61.0 - 61.3`: the cluster, where it has exactly `count` jobs.
std::optional<std::string> clusterOf(const std::string& out, std::size_t count) {
    const auto line = lastLineOf(out);
    const auto cluster = line.substr(0, line.find('.'));
    const bool digits =
        !cluster.empty() && cluster.find_first_not_of("0123456789") == std::string::npos;
    const auto whole = cluster + ".0 - " + cluster + "." + std::to_string(count - 1);
    return digits && line == whole && out.ends_with('\n') ? std::optional(cluster) : std::nullopt;
}

Result<Submission> failure(const Finished& submit) {
    const auto sentence = complaintOf(submit);
    if (saysAny(submit.err, {"Number of submitted jobs would exceed"})) {
        return Submission{.accepted = {}, .full = Full{sentence}};
    }
    if (saysAny(submit.err, {"Failed to connect to", "Can't find address of", "unknown host",
                             "Collector has no record", "Couldn't contact the condor_collector",
                             "Cannot allocate a cluster id"})) {
        return transientError("condor_submit: " + sentence);
    }
    const auto commit = submit.err.find("Failed to commit job submission");
    const bool refusedLast =
        commit != std::string::npos && submit.err.find("ERROR:", commit) != std::string::npos;
    if (refusedLast || saysAny(submit.err, {"Parse error in expression", "Invalid accounting_group",
                                            "is invalid, must eval", "Failed to parse command file",
                                            "Received invalid attribute value"})) {
        return permanentError("HTCondor refuses the job: " + sentence);
    }
    return uncertainError("condor_submit: " + (sentence.empty() ? "it gave no answer" : sentence));
}

}  // namespace

HTCondorListing parseJobs(std::string_view out, const std::string& command) {
    HTCondorListing listing;
    const auto ads = adsOf(out);
    if (!ads) {
        listing.trouble =
            "cannot read what " + command + " answered: \"" +
            lastLineOf(out.substr(out.size() - std::min<std::size_t>(out.size(), 100))) + "\"";
        return listing;
    }
    for (const auto& ad : *ads) {
        Attributes attributes(ad);
        const auto key = attributes.text("GridbridgeKey");
        if (!isOurName(key)) {
            continue;
        }
        auto job = jobOf(attributes);
        if (!attributes.unreadable().empty()) {
            listing.trouble =
                command + " shows job " + key + " without a usable " + attributes.unreadable();
            continue;
        }
        if (wasNeverSent(job)) {
            continue;  // As if it had never been.
        }
        const auto [known, isNew] = listing.jobs.try_emplace(key, job);
        // Of two jobs of one key the one that may still run counts, else the later one.
        if (!isNew && (hasEnded(known->second) || !hasEnded(job)) &&
            (hasEnded(known->second) != hasEnded(job) ||
             job.submittedAt >= known->second.submittedAt)) {
            known->second = std::move(job);
        }
    }
    return listing;
}

std::vector<Result<Submission>> parseSubmission(const Finished& submit, const std::string& schedd,
                                                std::size_t count, WallTime now) {
    if (submit.exitCode != 0) {
        return {count, failure(submit)};
    }
    const auto cluster = clusterOf(submit.out, count);
    if (!cluster) {
        return {count, uncertainError("condor_submit told no cluster of " + std::to_string(count) +
                                      " jobs: " + lastLineOf(submit.out))};
    }
    std::vector<Result<Submission>> results;
    for (std::size_t i = 0; i < count; ++i) {
        results.emplace_back(Submission{
            .accepted = Accepted{remoteId(schedd, *cluster + "." + std::to_string(i)), now},
            .full = {}});
    }
    return results;
}

bool foundNothingToRemove(const Finished& remove) {
    auto lines = linesOf(remove.out);
    const auto more = linesOf(remove.err);
    lines.insert(lines.end(), more.begin(), more.end());
    return remove.exitCode == 1 && lines.size() == 1 &&
           lines[0].starts_with("Couldn't find/remove all jobs matching constraint");
}

std::string complaintOf(const Finished& finished) {
    std::string complaint;
    for (auto line : linesOf(finished.err)) {
        if (line.starts_with("Extra Info:")) {
            break;
        }
        for (const std::string_view before : {"ERROR: ", "Error: ", "-- "}) {
            if (line.starts_with(before)) {
                line.erase(0, before.size());
            }
        }
        if (!line.starts_with("WARNING")) {
            complaint.append(complaint.empty() ? "" : "; ").append(line);
        }
    }
    return complaint.substr(0, 300);
}

RemoteId remoteId(const std::string& schedd, const std::string& id) {
    return {schedd.empty() ? id : schedd + "#" + id};
}

std::string scheddOf(const RemoteId& id) {
    const auto end = id.value.rfind('#');
    return end == std::string::npos ? std::string() : id.value.substr(0, end);
}

bool hasEnded(const HTCondorJob& job) {
    return standingOf(job).state == BatchState::Ended;
}

bool isWaiting(const HTCondorJob& job) {
    const auto state = standingOf(job).state;
    return state == BatchState::Pending || state == BatchState::Held;
}

bool mustBeRemoved(const HTCondorJob& job) {
    return job.status == kIdle || job.status == kHeld;
}

Observation observationOf(const HTCondorJob& job) {
    Observation seen;
    const auto [state, cause] = standingOf(job);
    seen.state = state;
    seen.reason = reasonOf(job);
    if (state == BatchState::Unknown) {
        seen.reason = "HTCondor gives the job the status " + std::to_string(job.status);
        return seen;
    }
    seen.cause = cause;
    if (job.starts > 0) {
        seen.node = job.node;
        seen.startedAt = job.startedAt;
    }
    if (state == BatchState::Ended) {
        seen.endedAt = job.completedAt.value_or(job.since);
        seen.exitCode = job.exitCode;
        seen.signal = job.signal;
        seen.usage = job.usage;
    }
    return seen;
}

}  // namespace gridbridge
