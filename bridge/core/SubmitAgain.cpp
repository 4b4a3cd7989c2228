#include "bridge/core/DecisionSteps.h"
#include "bridge/core/JobLines.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using store::Cancel;
using store::SubmissionRecord;

namespace {

/// With it a loader ends that cannot take the start marker: it is ours, another copy's, or the
/// folder cannot be written from that node.
constexpr int kMarkerNotTaken = 71;

/// A script can end its wrapper so, too; and not every batch system tells how a job ended.
bool mayHaveLostMarker(const SubmissionRecord& submission) {
    return (submission.cause == "exited" && submission.exitCode == kMarkerNotTaken) ||
           (submission.cause == "unknown" && !submission.exitCode && !submission.signal);
}

bool mayBeSubmittedAgain(const Step& step) {
    const auto& next = step.decision.next;
    return next.cancel == Cancel::None && step.policy.capabilities.sharedFolder &&
           step.now < step.lastStart() &&
           next.submission.attempt <= step.policy.infrastructureRetries;
}

Decision prepareAgain(Step& step) {
    auto& next = step.decision.next;
    step.decision.after += submittedAgainLine(next.submission);
    if (next.startedAt && step.policy.sections) {
        step.decision.after += sectionStart(step.now, kPrepare, "Preparing again");
    }
    next.startedAt.reset();
    next.deadline = step.fullDeadline();
    step.decision.effects.add(Effect::Release);
    step.wait(step.policy.poll);
    return step.to(store::State::Submitting, "infrastructure failed before the script started");
}

}  // namespace

bool saysNothingOfTheScript(const SubmissionRecord& submission) {
    return submission.cause == "node_failure" || submission.cause == "lost" ||
           mayHaveLostMarker(submission);
}

std::optional<Decision> submitAgain(Step& step) {
    const Facts& facts = step.facts;
    auto& submission = step.decision.next.submission;
    const bool printed = step.job.rawOffset > 0 || (facts.log && !facts.log->bytes.empty());
    const bool again = mayBeSubmittedAgain(step);
    // Whose failure such an end is only the marker tells, even where nothing is submitted again.
    const bool asks = again || mayHaveLostMarker(submission);
    if (!saysNothingOfTheScript(submission) || printed || !asks) {
        return std::nullopt;
    }
    if (!facts.marked) {
        const bool asked = facts.inFlight.has(Effect::Mark);
        if (!asked && facts.observed && facts.observed->started && !mayHaveLostMarker(submission)) {
            return std::nullopt;
        }
        if (!asked) {
            step.decision.effects.add(Effect::Mark);
        }
        return step.wait(step.policy.poll);
    }
    if (!facts.marked->ok() && facts.marked->error().kind != ErrorKind::Permanent) {
        step.decision.effects.add(Effect::Mark);
        return step.wait(step.backoff());
    }
    if (!facts.marked->ok() || !**facts.marked) {
        return std::nullopt;  // Who cannot know must think that the script has started.
    }
    if (again) {
        return prepareAgain(step);
    }
    if (mayHaveLostMarker(submission)) {
        submission.cause = kNeverStarted;
    }
    return std::nullopt;
}

}  // namespace gridbridge::core
