// Where log and status file are here only once they are collected. No start marker of ours is seen
// by a copy there: what was submitted was sent with it.
#include <algorithm>

#include "bridge/core/DecisionSteps.h"
#include "bridge/core/JobLines.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using store::Cancel;
using store::JobRecord;
using store::State;

namespace {

/// Known by a look of just now, and not concluded from what was seen before.
bool isSeen(const Step& step, std::initializer_list<BatchState> states) {
    const auto& seen = step.facts.observed;
    return seen && std::find(states.begin(), states.end(), seen->state) != states.end();
}

/// A job that waits is taken back by the batch system alone: until its end is seen it may start.
std::optional<Decision> removeQueued(Step& step) {
    const JobRecord& next = step.decision.next;
    const auto& submission = next.submission;
    const bool canceling = next.cancel == Cancel::Soft;
    // Also where a clock has gone back since.
    const bool removed = submission.cause == nameOf(EndCause::RemovedByUs);
    if (next.state != State::Queued || !(canceling || removed || step.now >= step.lastStart())) {
        return std::nullopt;
    }
    const bool exited = submission.cause == nameOf(EndCause::Exited);
    if ((submission.endedAt && !exited) || (canceling && provenAbsent(step))) {
        return step.finish(canceling ? canceled(next) : neverStarted(step));
    }
    if (submission.endedAt || provenAbsent(step) || step.isOverdue()) {
        return std::nullopt;
    }
    // One that has begun since it was last seen would be killed: nobody wants that but who cancels.
    // The next poll tells; a batch system that does not answer is not asked more often.
    if (!canceling && !removed && !isSeen(step, {BatchState::Pending, BatchState::Held})) {
        return step.wait(step.policy.poll);
    }
    step.decision.effects.add(Effect::CancelHard);
    return step.wait(step.policy.longestBackoff / 2);
}

/// Past its deadline it waits or runs.
std::optional<Decision> endOverdue(Step& step) {
    const JobRecord& next = step.decision.next;
    if (next.state == State::Running) {
        return std::nullopt;
    }
    step.decision.effects.add(Effect::CancelHard);
    return step.finish(next.cancel == Cancel::Soft ? canceled(next) : neverStarted(step));
}

/// Then the system has failed, where nothing else is known of its end.
Decision giveUp(Step& step, const std::string& why) {
    auto& submission = step.decision.next.submission;
    step.decision.after += warningLine("the files of the job could not be fetched: " + why);
    if (submission.cause.empty() || submission.cause == nameOf(EndCause::Exited) ||
        submission.cause == nameOf(EndCause::Unknown)) {
        submission.cause = kNotFetched;
    }
    return collect(step, "its files could not be fetched");
}

/// A try that brought nothing. It is given up when GitLab's patience is, or the job is canceled,
/// and for some time now nothing has come; but never before it was tried.
std::optional<Decision> fetchLater(Step& step) {
    const JobRecord& next = step.decision.next;
    const auto& tried = *step.facts.collected;
    if (tried.ok() && !next.submission.endedAt) {
        return endOverdue(step);
    }
    const bool wanted = next.cancel == Cancel::None && step.now < step.fullDeadline();
    if (!wanted && step.facts.failing >= step.policy.settleTime) {
        return giveUp(step, tried.ok() ? "they have not come" : tried.error().message);
    }
    return step.wait(step.backoff());
}

/// Once it has ended; and past its deadline, for then the batch system may be unable to say so.
std::optional<Decision> fetch(Step& step) {
    const Facts& facts = step.facts;
    auto& submission = step.decision.next.submission;
    if (hasCome(facts)) {
        if (**facts.collected == CollectOutcome::Never) {
            return giveUp(step, "the batch system has them no more");
        }
        step.decision.effects.add(Effect::Look);
        return step.wait(step.policy.poll);
    }
    if (facts.fetched || (!submission.endedAt && !step.isOverdue() && !provenAbsent(step))) {
        return std::nullopt;
    }
    if (!submission.endedAt &&
        isSeen(step, {BatchState::Pending, BatchState::Held, BatchState::Running})) {
        return endOverdue(step);
    }
    if (facts.inFlight.has(Effect::Collect)) {
        return step.decision;
    }
    if (provenAbsent(step)) {
        submission.cause = submission.cause.empty() ? "lost" : submission.cause;
        return giveUp(step, "the batch system does not know the job any more");
    }
    if (facts.collected) {
        return fetchLater(step);
    }
    // What failed is not tried again at every look.
    if (facts.failures == 0 || step.due()) {
        step.decision.effects.add(Effect::Collect);
        return step.wait(step.policy.poll);
    }
    return step.decision;
}

}  // namespace

std::optional<Decision> beforeFiles(Step& step) {
    if (!step.policy.capabilities.filesByCollect) {
        return std::nullopt;
    }
    auto back = removeQueued(step);
    return back ? back : fetch(step);
}

}  // namespace gridbridge::core
