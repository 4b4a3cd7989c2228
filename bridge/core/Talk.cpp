// The parts of the reconciler that talk to GitLab.
#include <algorithm>
#include <utility>

#include "bridge/core/Reconciler.h"

namespace gridbridge::core {

using store::JobRecord;

void Reconciler::startReport(const JobRecord& job, Live& live, bool itsTurn) {
    // One call about a job at a time, and what has been waiting longer comes first.
    const bool waits =
        !itsTurn && !live.settled && !live.talking && !conversation_.mayReport(job.row, live);
    if (waits && conversation_.away(live) && conversation_.outlived(live)) {
        conversation_.giveUp(live, "the job token is dead", "GitLab is away");
    }
    live.reportWanted = live.talking || (waits && !live.settled);
    if (live.reportWanted) {
        return;
    }
    if (live.settled) {
        answers_.post({job.row, 0, [](Facts& facts, Live&) {
                           facts.reported.emplace().outcome = ReportOutcome::Unwanted;
                       }});
        return;
    }
    gitlab::FinalReport report;
    report.success = job.outcome == store::Outcome::Success;
    if (!report.success) {
        const auto description = describe(job.row, live);
        report.failureReason = gitlab::reportableReason(
            job.failureReason,
            description.ok() ? (*description)->failureReasons : std::vector<std::string>{});
        report.exitCode = job.exitCode;
    }
    conversation_.report(job.row, live, report);
}

void Reconciler::startReport(JobRow row, bool itsTurn) {
    auto& live = lives_.at(row);
    if (live.reportWanted && !live.talking) {
        const std::vector<JobRow> one{row};
        for (const auto& job : store_.load(one)) {
            startReport(job, live, itsTurn);
        }
    }
}

void Reconciler::schedule(JobRow row, Live& live) {
    agenda_.erase({live.talkAt, row});
    live.talkAt = SteadyTime::min();
    agenda_.insert({live.talkAt, row});
}

SteadyTime Reconciler::converse() {
    const auto now = clock_.steadyNow();
    for (const auto row : conversation_.woken(lives_)) {
        auto& live = lives_.at(row);
        schedule(row, live);
        if (std::exchange(live.uploadWanted, false)) {
            facts_[row].uploaded = TransferFact{TransferOutcome::Later, Millis(1), {}};
        }
        if (std::exchange(live.reportWaits, false)) {
            facts_[row].reported = ReportFact{.after = Millis(1)};
        }
    }
    while (!agenda_.empty() && agenda_.begin()->first <= now) {
        const auto row = agenda_.begin()->second;
        agenda_.erase(agenda_.begin());
        auto& live = lives_.at(row);
        startReport(row, false);
        if (live.lastContact != SteadyTime{}) {
            learn(row, live);
        }
        live.talkAt = conversation_.talk(row, live);
        if (live.talkAt != SteadyTime::max()) {
            live.talkAt = std::max(live.talkAt, now + Millis(1));
            agenda_.insert({live.talkAt, row});
        }
    }
    const auto turns = conversation_.takeTurns(lives_);
    for (const auto row : turns.reports) {
        startReport(row, true);
    }
    return agenda_.empty() ? turns.next : std::min(turns.next, agenda_.begin()->first);
}

}  // namespace gridbridge::core
