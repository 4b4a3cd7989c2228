#include "bridge/core/Conversation.h"

#include <algorithm>

#include "bridge/base/CrashPoint.h"
#include "bridge/gitlab/Crc32.h"

namespace gridbridge::core {

using gitlab::CallOutcome;
using gitlab::JobAnswer;
using gitlab::JobStatus;

namespace {

constexpr Millis kCallLimit{60000};
constexpr Millis kLongestQuiet{60000};

bool reached(CallOutcome outcome) {
    return outcome == CallOutcome::Done || outcome == CallOutcome::Deferred ||
           outcome == CallOutcome::Mismatch;
}

ReportFact reportFact(const JobAnswer& answer, bool success) {
    ReportFact fact;
    fact.canceled = answer.serverStatus == "canceled";
    fact.why = answer.message;
    switch (answer.outcome) {
        case CallOutcome::Done:
            fact.outcome = ReportOutcome::Settled;
            break;
        case CallOutcome::Ended: {
            // An earlier, lost answer may have settled it.
            const bool ours = answer.serverStatus == (success ? "success" : "failed");
            fact.outcome = ours || fact.canceled ? ReportOutcome::Settled : ReportOutcome::Unwanted;
            break;
        }
        case CallOutcome::Rejected:
        case CallOutcome::NotFound:
            fact.outcome = ReportOutcome::Later;
            break;
        case CallOutcome::Deferred:
        case CallOutcome::Mismatch:
        case CallOutcome::Retry:
            fact.outcome = ReportOutcome::Later;
            fact.after = answer.retryAfter ? Millis(*answer.retryAfter) : Millis(0);
            break;
    }
    return fact;
}

/// What every answer means for the conversation and for the job.
void hear(const JobAnswer& answer, SteadyTime now, Facts& facts, Live& live) {
    live.talking = false;
    if (answer.updateInterval) {
        live.updateInterval = std::min<Millis>(*answer.updateInterval, std::chrono::seconds(60));
    }
    if (reached(answer.outcome)) {
        live.lastContact = now;
        live.failedCalls = 0;
    } else {
        ++live.failedCalls;
        const Millis wait = Millis(500) * (1 << std::min(live.failedCalls, 7));
        live.quietUntil =
            now + std::min(kLongestQuiet, answer.retryAfter ? Millis(*answer.retryAfter) : wait);
    }
    if (answer.outcome == CallOutcome::Ended) {
        live.settled = true;
        if (live.reported) {
            // The report may have ended it, and only its answer was lost.
            facts.reported = reportFact(answer, *live.reported);
        } else {
            facts.contact = Contact::Gone;
        }
    } else if (answer.status == JobStatus::Canceling && facts.contact != Contact::Gone) {
        facts.contact = Contact::Canceling;
    }
}

/// Sends trace bytes from `from` on, one PATCH; moves `from` to what GitLab then has.
JobAnswer sendPart(gitlab::RunnerApi& api, const CallContext& ctx,
                   const gitlab::JobCredentials& job, std::optional<std::int64_t>& from,
                   std::int64_t length, const std::string& key, const Trace& trace) {
    const std::int64_t at = from.value_or(length);
    std::string bytes;
    if (from) {
        auto read =
            trace.read(key, at,
                       static_cast<std::size_t>(std::min<std::int64_t>(
                           length - at, static_cast<std::int64_t>(Conversation::kPatchBytes))));
        if (!read.ok()) {
            JobAnswer answer;
            answer.message = read.error().message;
            return answer;
        }
        bytes = std::move(*read);
    }
    auto answer = api.appendTrace(ctx, job, at, bytes);
    if (answer.outcome == CallOutcome::Done) {
        from = at + static_cast<std::int64_t>(bytes.size());
        crashPoint("patched");
    } else if (answer.outcome == CallOutcome::Mismatch && answer.serverSize &&
               *answer.serverSize <= length && *answer.serverSize != at) {
        from = *answer.serverSize;
    } else if (answer.outcome == CallOutcome::Mismatch) {
        answer.outcome = CallOutcome::Rejected;
        answer.message = answer.serverSize.value_or(0) > length
                             ? "GitLab has more log than was ever sent: another runner uses this "
                               "token"
                             : "GitLab refuses the log at the size that it names itself";
    }
    return answer;
}

std::optional<gitlab::TraceEnd> endOf(const Trace& trace, const std::string& key,
                                      std::int64_t length) {
    std::uint32_t crc = 0;
    for (std::int64_t at = 0; at < length;) {
        const auto part =
            trace.read(key, at,
                       static_cast<std::size_t>(std::min<std::int64_t>(
                           length - at, static_cast<std::int64_t>(Conversation::kPatchBytes))));
        if (!part.ok() || part->empty()) {
            return std::nullopt;
        }
        crc = gitlab::crc32(crc, *part);
        at += static_cast<std::int64_t>(part->size());
    }
    return gitlab::TraceEnd{crc, length};
}

}  // namespace

SteadyTime Conversation::talk(JobRow row, Live& live, std::size_t openJobs) {
    const auto now = clock_.steadyNow();
    if (live.talking || live.settled || live.reporting || live.credentials.id == 0) {
        return SteadyTime::max();
    }
    if (now < live.quietUntil) {
        return live.quietUntil;
    }
    const Millis stretched(static_cast<std::int64_t>(openJobs) * 1000 / 50);
    const auto interval =
        std::min(kLongestBeat, std::max(live.waiting ? kWaitingBeat : kRunningBeat, stretched));
    const bool first = live.lastContact == SteadyTime{};
    if (first || now >= live.lastContact + interval) {
        beat(row, live);
        return SteadyTime::max();
    }
    const bool news =
        live.acknowledged ? *live.acknowledged < live.traceLength : live.traceLength > 0;
    if (news && now >= live.lastPatch + live.updateInterval) {
        patch(row, live);
        return SteadyTime::max();
    }
    return std::min(live.lastContact + interval,
                    news ? live.lastPatch + live.updateInterval : SteadyTime::max());
}

void Conversation::beat(JobRow row, Live& live) {
    live.talking = true;
    world_.control.post(
        [this, row, job = live.credentials, &gitlab = api(live)](std::stop_token stop) {
            const auto answer = gitlab.keepAlive({clock_.steadyNow() + kCallLimit, stop}, job);
            answers_.post({row, 0, [this, answer](Facts& facts, Live& known) {
                               hear(answer, clock_.steadyNow(), facts, known);
                           }});
        });
}

void Conversation::patch(JobRow row, Live& live) {
    live.talking = true;
    live.lastPatch = clock_.steadyNow();
    world_.control.post([this, row, job = live.credentials, from = live.acknowledged,
                         length = live.traceLength, key = live.key,
                         &gitlab = api(live)](std::stop_token stop) mutable {
        const auto answer = sendPart(gitlab, {clock_.steadyNow() + kCallLimit, stop}, job, from,
                                     length, key, trace_);
        answers_.post({row, 0, [this, answer, from, length](Facts& facts, Live& known) {
                           hear(answer, clock_.steadyNow(), facts, known);
                           known.acknowledged = from;
                           if (reached(answer.outcome) && from && *from < length) {
                               known.lastPatch = {};  // More is there: go on at once.
                           }
                       }});
    });
}

void Conversation::report(JobRow row, Live& live, const gitlab::FinalReport& report, bool checked) {
    live.reporting = true;
    // The claim is acknowledged before any log, and reports that fail starve no heartbeat.
    const bool greet =
        live.lastContact == SteadyTime{} || clock_.steadyNow() >= live.lastContact + kRunningBeat;
    live.inFlight.add(Effect::Report);
    world_.control.post([this, row, job = live.credentials, from = live.acknowledged,
                         length = live.traceLength, key = live.key, &gitlab = api(live),
                         last = report, checked, greet](std::stop_token stop) mutable {
        const CallContext ctx{clock_.steadyNow() + kCallLimit * 2, stop};
        JobAnswer answer;
        answer.outcome = CallOutcome::Done;
        if (greet) {
            answer = gitlab.keepAlive(ctx, job);
        }
        while (length > 0 && (!from || *from < length) && reached(answer.outcome)) {
            answer = sendPart(gitlab, ctx, job, from, length, key, trace_);
        }
        const bool sent = reached(answer.outcome) || answer.outcome == CallOutcome::Rejected;
        if (sent) {
            last.traceEnd = checked ? endOf(trace_, key, length) : std::nullopt;
            answer = gitlab.finish(ctx, job, last);
            crashPoint("reported");
        }
        answers_.post(
            {row, 0, [this, answer, from, sent, ok = last.success](Facts& facts, Live& known) {
                 if (sent) {
                     known.reported = ok;
                 }
                 hear(answer, clock_.steadyNow(), facts, known);
                 facts.contact.reset();  // The report says it all.
                 facts.reported = reportFact(answer, ok);
                 known.acknowledged = from;
                 known.reporting = false;
                 known.inFlight.remove(Effect::Report);
                 known.settled = known.settled || answer.outcome == CallOutcome::Done;
                 known.failures = known.settled ? 0 : known.failures + 1;
             }});
    });
}

}  // namespace gridbridge::core
