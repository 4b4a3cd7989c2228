#include "bridge/core/Conversation.h"

#include <algorithm>
#include <utility>

#include "bridge/base/CrashPoint.h"
#include "bridge/gitlab/Crc32.h"

namespace gridbridge::core {

using gitlab::CallOutcome;
using gitlab::JobAnswer;
using gitlab::JobStatus;

/// The log of one job on its way to GitLab.
struct Conversation::Sending {
    gitlab::RunnerApi& api;
    gitlab::JobCredentials job;
    std::string key;
    std::int64_t length = 0;           ///< All of it.
    std::optional<std::int64_t> from;  ///< What GitLab has; unknown after a restart.
    std::size_t part = 0;              ///< Most bytes in one call.
    bool debug = false;                ///< It shows variables.

    bool complete() const { return length == 0 || (from && *from == length); }
};

namespace {

constexpr Millis kCallLimit{60000};
constexpr Millis kLongestQuiet{60000};
/// No proxy allows less.
constexpr std::size_t kSmallestPatch = 1024;
constexpr std::int64_t kReadBytes = std::int64_t{1} << 20U;
/// GitLab waits five minutes at most for a log that it is still storing (protocol 4.4).
constexpr Millis kLongestDeferral = std::chrono::minutes(6);
/// A shorter pause before the next report needs no words.
constexpr Millis kToldPause{60000};
/// A job token with less life than this cannot wait for GitLab to store the log.
constexpr Millis kHurry = std::chrono::minutes(5);

bool reached(CallOutcome outcome) {
    return outcome == CallOutcome::Done || outcome == CallOutcome::Deferred ||
           outcome == CallOutcome::Mismatch || outcome == CallOutcome::TooLarge;
}

/// One call about a job at a time, and none once it is settled.
bool mayTalk(const Live& live) {
    return !live.talking && !live.settled && !live.reporting && live.credentials.id != 0;
}

/// Whether there has been nothing but refusals, this one included, for too long.
bool refusedTooLong(CallOutcome outcome, SteadyTime now, std::optional<SteadyTime>& since) {
    if (outcome != CallOutcome::NotGitLab && outcome != CallOutcome::Rejected) {
        since.reset();
        return false;
    }
    since = since.value_or(now);
    return now - *since >= Conversation::kLongestRefusal;
}

const char* whyOver(const JobAnswer& answer) {
    return answer.outcome == CallOutcome::Ended ? "GitLab has ended it, or its token is dead"
                                                : "it was refused for an hour";
}

ReportFact reportFact(const JobAnswer& answer, bool success) {
    ReportFact fact;
    fact.canceled = answer.serverStatus == "canceled";
    if (answer.outcome == CallOutcome::Done) {
        fact.outcome = ReportOutcome::Settled;
    } else if (answer.outcome == CallOutcome::Ended) {
        // An earlier, lost answer may have settled it.
        const bool ours = answer.serverStatus == (success ? "success" : "failed");
        fact.outcome = ours || fact.canceled ? ReportOutcome::Settled : ReportOutcome::Unwanted;
    } else {
        fact.after = std::min(Conversation::kLongestReportPause,
                              answer.retryAfter ? Millis(*answer.retryAfter) : Millis(0));
    }
    return fact;
}

}  // namespace

bool Conversation::hasNews(const Live& live) const {
    // What the disk has lost cannot be sent: then GitLab is only asked what it has.
    return live.acknowledged ? *live.acknowledged < live.traceLength && !live.traceOnDisk
                             : live.traceLength > 0;
}

SteadyTime Conversation::talk(JobRow row, Live& live) {
    const auto now = clock_.steadyNow();
    if (!mayTalk(live)) {
        return SteadyTime::max();
    }
    if (now < live.quietUntil) {
        return live.quietUntil;
    }
    auto& there = server(live);
    if (!std::exchange(live.greeted, true)) {
        beat(row, live);
        return SteadyTime::max();
    }
    const auto interval = std::min(
        kLongestBeat,
        std::max(live.waiting ? kWaitingBeat : kRunningBeat, Server::kBeatGap * there.openJobs));
    if (live.lastContact == SteadyTime{} || now >= live.lastContact + interval) {
        there.wantBeat(row, live.lastContact);
        return SteadyTime::max();
    }
    if (hasNews(live) && now >= live.lastPatch + live.updateInterval) {
        if (!there.makesWait()) {
            patch(row, live);
            return SteadyTime::max();
        }
        there.wantPatch(row);
        return live.lastContact + interval;
    }
    return std::min(live.lastContact + interval,
                    hasNews(live) ? live.lastPatch + live.updateInterval : SteadyTime::max());
}

Conversation::Turns Conversation::takeTurns(Lives& lives) {
    const auto now = clock_.steadyNow();
    Turns turns;
    for (auto& [url, there] : servers_) {
        while (const auto call = there.next(now)) {
            const auto found = lives.find(call->row);
            if (found == lives.end()) {
                continue;
            }
            auto& live = found->second;
            const bool may = mayTalk(live) && now >= live.quietUntil;
            if (call->turn == Turn::Report) {
                turns.reports.push_back(call->row);
            } else if (call->turn == Turn::Beat && may) {
                beat(call->row, live);
            } else if (call->turn == Turn::Patch && may && hasNews(live)) {
                patch(call->row, live);
            }
        }
        turns.next = std::min(turns.next, there.nextAt());
    }
    return turns;
}

std::vector<JobRow> Conversation::woken(Lives& lives) {
    std::vector<JobRow> rows;
    if (std::exchange(outageOver_, false)) {
        for (auto& [row, live] : lives) {
            const bool waits = live.failedCalls > 0 || live.uploadWanted || live.reportWaits;
            if (waits && !server(live).away()) {
                live.quietUntil = {};
                rows.push_back(row);
            }
        }
    }
    return rows;
}

bool Conversation::mayReport(JobRow row, const Live& live) {
    auto& there = server(live);
    if (!there.makesWait()) {
        return true;
    }
    there.wantReport(row);
    return false;
}

void Conversation::beat(JobRow row, Live& live) {
    live.talking = true;
    auto& underWay = server(live).underWay;
    ++underWay;
    world_.control.post([this, row, job = live.credentials, &underWay,
                         &gitlab = world_.runners.at(live.runner)->api](std::stop_token stop) {
        const auto answer = gitlab.keepAlive({clock_.steadyNow() + kCallLimit, stop}, job);
        --underWay;
        answers_.post(
            {row, 0, [this, answer](Facts& facts, Live& known) { hear(answer, facts, known); }});
    });
}

Conversation::Sending Conversation::sending(const Live& live) const {
    return {world_.runners.at(live.runner)->api,
            live.credentials,
            live.key,
            live.traceLength,
            live.acknowledged,
            live.patchBytes,
            live.wishes.debugTrace};
}

void Conversation::patch(JobRow row, Live& live) {
    live.talking = true;
    live.lastPatch = clock_.steadyNow();
    world_.control.post([this, row, log = sending(live)](std::stop_token stop) mutable {
        const auto answer = sendPart({clock_.steadyNow() + kCallLimit, stop}, log);
        answers_.post({row, 0,
                       [this, answer, from = log.from, part = log.part, whole = log.complete()](
                           Facts& facts, Live& known) {
                           noteReading(answer, known);
                           known.talking = false;
                           if (answer.ok()) {
                               hear(*answer, facts, known);
                           }
                           known.acknowledged = from;
                           known.patchBytes = part;
                           if (answer.ok() && reached(answer->outcome) && !whole) {
                               known.lastPatch = {};  // More is there: go on at once.
                           }
                       }});
    });
}

/// Nothing while it is unknown what GitLab has. An error: not all of it is there to be read.
Result<std::string> Conversation::nextPart(const Sending& log) const {
    if (!log.from) {
        return std::string();
    }
    const auto wanted = std::min(static_cast<std::size_t>(log.length - *log.from), log.part);
    auto bytes = trace_.read(log.key, *log.from, wanted);
    if (bytes.ok() && bytes->size() < wanted) {
        return transientError("the file is shorter than what was written");
    }
    return bytes;
}

/// One PATCH; moves `log.from` to what GitLab then has. An error: it could not be read here.
Result<JobAnswer> Conversation::sendPart(const CallContext& ctx, Sending& log) const {
    const std::int64_t at = log.from.value_or(log.length);
    const auto part = nextPart(log);
    if (!part.ok()) {
        return part.error();
    }
    const std::string& bytes = *part;
    auto answer = log.api.appendTrace(ctx, log.job, at, bytes, log.debug);
    const auto reject = [&answer](const char* why) {
        answer.outcome = CallOutcome::Rejected;
        answer.message = why;
    };
    if (answer.outcome == CallOutcome::Done) {
        log.from = at + static_cast<std::int64_t>(bytes.size());
        crashPoint("patched");
    } else if (answer.outcome == CallOutcome::TooLarge) {
        if (bytes.size() <= kSmallestPatch) {
            reject("not even a kilobyte of log passes: 413");
        }
        log.part = std::max(bytes.size() / 2, kSmallestPatch);
    } else if (answer.outcome == CallOutcome::Mismatch &&
               answer.serverSize.value_or(0) > log.length) {
        reject("GitLab has more log than was ever sent: another runner uses this token");
    } else if (answer.outcome == CallOutcome::Mismatch && answer.serverSize == at) {
        reject("GitLab refuses the log at the size that it names itself");
    } else if (answer.outcome == CallOutcome::Mismatch) {
        log.from = answer.serverSize;
    }
    return answer;
}

/// What is left of the log; with `greet` a heartbeat before it.
Result<JobAnswer> Conversation::sendAll(const CallContext& ctx, Sending& log, bool greet) const {
    JobAnswer answer{.outcome = CallOutcome::Done};
    if (greet) {
        answer = log.api.keepAlive(ctx, log.job);
    }
    while (reached(answer.outcome) && !log.complete()) {
        auto part = sendPart(ctx, log);
        if (!part.ok()) {
            return part;
        }
        answer = *std::move(part);
    }
    return answer;
}

/// Checksum and size of the whole log; nothing when it cannot be read.
std::optional<gitlab::TraceEnd> Conversation::endOf(const Sending& log) const {
    std::uint32_t crc = 0;
    for (std::int64_t at = 0; at < log.length;) {
        const auto part = trace_.read(
            log.key, at, static_cast<std::size_t>(std::min(log.length - at, kReadBytes)));
        if (!part.ok() || part->empty()) {
            return std::nullopt;
        }
        crc = gitlab::crc32(crc, *part);
        at += static_cast<std::int64_t>(part->size());
    }
    return gitlab::TraceEnd{crc, log.length};
}

void Conversation::report(JobRow row, Live& live, const gitlab::FinalReport& report) {
    live.reporting = true;
    live.reportWaits = false;
    live.inFlight.add(Effect::Report);
    const auto now = clock_.steadyNow();
    // The claim is acknowledged before any log, and reports that fail starve no heartbeat.
    const bool greet = live.lastContact == SteadyTime{} || now >= live.lastContact + kRunningBeat;
    // A report without a checksum is answered at once. What the disk lost has none.
    const bool checked = live.traceLost == 0 &&
                         (!live.tokenDies || now + kHurry < *live.tokenDies) &&
                         (!live.deferredSince || now < *live.deferredSince + kLongestDeferral);
    world_.control.post([this, row, log = sending(live), last = report, checked,
                         greet](std::stop_token stop) mutable {
        const CallContext ctx{clock_.steadyNow() + kCallLimit * 2, stop};
        auto answer = sendAll(ctx, log, greet);
        const bool sent =
            answer.ok() && (reached(answer->outcome) || answer->outcome == CallOutcome::Rejected);
        if (sent) {
            last.traceEnd = checked ? endOf(log) : std::nullopt;
            answer = log.api.finish(ctx, log.job, last);
            crashPoint("reported");
        }
        answers_.post({row, 0,
                       [this, answer, from = log.from, part = log.part, sent, ok = last.success](
                           Facts& facts, Live& known) {
                           known.acknowledged = from;
                           known.patchBytes = part;
                           if (sent) {
                               known.reported = ok;
                           }
                           hearReport(answer, ok, facts, known);
                       }});
    });
}

void Conversation::heed(const JobAnswer& answer, Server& server) {
    if (reached(answer.outcome) || answer.outcome == CallOutcome::Ended) {
        outageOver_ = server.answered(clock_.steadyNow()) || outageOver_;
    } else if (answer.outcome == CallOutcome::Retry) {
        server.failed(clock_.steadyNow());
    }
}

/// What every answer means for the conversation; true = nothing more is ever heard of the job.
bool Conversation::ends(const JobAnswer& answer, Live& live) {
    const auto now = clock_.steadyNow();
    live.talking = false;
    note(answer, live);
    heed(answer, server(live));
    if (answer.updateInterval) {
        live.updateInterval = std::min<Millis>(*answer.updateInterval, std::chrono::seconds(60));
    }
    if (reached(answer.outcome)) {
        live.lastContact = now;
        live.failedCalls = 0;
    } else {
        ++live.failedCalls;
        const Millis wait = Millis(500) * (1 << std::min(live.failedCalls, 7));
        const Millis longest = server(live).away() ? Server::kLongestPause : kLongestQuiet;
        live.quietUntil =
            now + (answer.retryAfter ? std::min(kLongestBeat, Millis(*answer.retryAfter))
                                     : std::min(longest, wait));
    }
    const bool refused = refusedTooLong(answer.outcome, now, live.refusedSince);
    return refused || answer.outcome == CallOutcome::Ended;
}

/// The answer to a heartbeat, or to a part of the log.
void Conversation::hear(const JobAnswer& answer, Facts& facts, Live& live) {
    const bool over = ends(answer, live);
    if (over && live.reportDue && live.reported) {
        // The report may have ended it, and only its answer was lost.
        judgeReport(answer, *live.reported, true, facts, live);
    } else if (over) {
        if (live.reportDue) {
            giveUp(live, whyOver(answer), answer.message);
        }
        live.settled = true;
        facts.contact = Contact::Gone;
    } else if (answer.status == JobStatus::Canceling && facts.contact != Contact::Gone) {
        facts.contact = Contact::Canceling;
    }
}

bool Conversation::outlived(const Live& live) const {
    return live.tokenDies && clock_.steadyNow() >= *live.tokenDies;
}

void Conversation::giveUp(Live& live, const std::string& why, const std::string& error) {
    live.settled = true;
    log_.error("the final report of a job is given up, {} job={} error=\"{}\"", why, live.key,
               error);
}

/// What becomes of the report; `refused`: whoever answers has had the time to take it.
void Conversation::judgeReport(const JobAnswer& answer, bool success, bool refused, Facts& facts,
                               Live& live) {
    auto fact = reportFact(answer, success);
    const bool later = fact.outcome == ReportOutcome::Later;
    if (later && (refused || outlived(live))) {
        fact.outcome = ReportOutcome::Unwanted;
    }
    if (fact.outcome == ReportOutcome::Unwanted) {
        giveUp(live, later && !refused ? "the job token is dead" : whyOver(answer), answer.message);
    }
    live.settled = fact.outcome != ReportOutcome::Later;
    live.reportWaits = !live.settled && answer.outcome == CallOutcome::Retry;
    live.reportWanted = live.reportWanted && !live.settled;
    facts.reported = fact;
}

void Conversation::judgeAnswer(const JobAnswer& answer, bool success, Facts& facts, Live& live) {
    const auto now = clock_.steadyNow();
    const bool over = ends(answer, live);
    const bool refused = refusedTooLong(answer.outcome, now, live.reportRefusedSince);
    if (answer.outcome == CallOutcome::Deferred) {
        live.deferredSince = live.deferredSince.value_or(now);
    }
    judgeReport(answer, success, refused || over, facts, live);
    if (live.reportWaits && facts.reported->after >= kToldPause) {
        log_.info("the final report of a job waits {} s, as the server asks job={}",
                  facts.reported->after / std::chrono::seconds(1), live.key);
    }
}

/// An error: the log, which goes first, cannot be read here.
void Conversation::hearReport(const Result<JobAnswer>& answer, bool success, Facts& facts,
                              Live& live) {
    noteReading(answer, live);
    if (answer.ok()) {
        judgeAnswer(*answer, success, facts, live);
    } else {
        judgeReport({.message = answer.error().message}, success, false, facts, live);
    }
    live.reporting = false;
    live.inFlight.remove(Effect::Report);
    live.failures = live.settled ? 0 : live.failures + 1;
}

bool Conversation::measure(Live& live) {
    if (live.settled || live.traceLength == 0) {
        return false;
    }
    const auto onDisk = trace_.size(live.key);
    if (!onDisk || *onDisk >= live.traceLength) {
        return false;
    }
    if (!live.traceOnDisk) {
        log_.error("the disk lost a part of a trace job={} bytes={} kept={}", live.key,
                   live.traceLength, *onDisk);
    }
    live.traceOnDisk = onDisk;
    return true;
}

/// A log that cannot be read here is no fault of GitLab's.
void Conversation::noteReading(const Result<JobAnswer>& answer, Live& live) {
    if (answer.ok()) {
        if (reading_.worked(clock_.steadyNow())) {
            log_.info("traces are read again");
        }
    } else if (!measure(live) && reading_.failed(clock_.steadyNow())) {
        log_.error("a trace cannot be read, trying again job={} error=\"{}\"", live.key,
                   answer.error().message);
    }
}

/// Tells people once per outage of a server, not once per call.
void Conversation::note(const JobAnswer& answer, const Live& live) {
    auto& outage = outages_[live.runner];
    if (reached(answer.outcome) || answer.outcome == CallOutcome::Ended) {
        if (outage.worked(clock_.steadyNow())) {
            log_.info("GitLab answers again about jobs runner={}", live.runner);
        }
    } else if (outage.failed(clock_.steadyNow())) {
        log_.warn(
            "GitLab does not take what is said about a job, trying again runner={} job={} "
            "error=\"{}\"",
            live.runner, live.key, answer.message);
    }
}

}  // namespace gridbridge::core
