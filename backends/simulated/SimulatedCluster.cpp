#include "backends/simulated/SimulatedCluster.h"

#include <algorithm>

namespace gridbridge {

namespace {

/// The loader's: another copy has taken the start marker, or the folder cannot be used.
constexpr int kMarkerLost = 71;
constexpr int kNoFolder = 70;
constexpr Millis kRestart{5000};
constexpr Millis kLongestDelay{45000};
constexpr Millis kAbsence{30000};
constexpr Millis kLatestLoss{60000};
constexpr Millis kLatestCopy{120000};

bool alive(const SimulatedJob& job) {
    return job.state == SimulatedState::Pending || job.state == SimulatedState::Running;
}

Millis part(Millis whole, double share) {
    return Millis(static_cast<std::int64_t>(static_cast<double>(whole.count()) * share));
}

}  // namespace

void SimulatedCluster::advance(SimulatedTables::Jobs& jobs, WallTime now) {
    WallTime at = WallTime::min();
    for (auto event = next(jobs, at); event && event->at <= now; event = next(jobs, at)) {
        at = event->at;
        (this->*event->happens)(*event->job, at);
    }
}

std::optional<SimulatedCluster::Event> SimulatedCluster::next(SimulatedTables::Jobs& jobs,
                                                              WallTime notBefore) {
    std::optional<Event> first;
    SimulatedJob* head = nullptr;
    int running = 0;
    for (auto& [key, job] : jobs) {
        running += job.state == SimulatedState::Running ? 1 : 0;
        if (job.state == SimulatedState::Pending && (head == nullptr || job.place < head->place)) {
            head = &job;
        }
        const auto event = nextOf(job);
        if (event && (!first || event->at < first->at)) {
            first = event;
        }
    }
    if (head != nullptr && running < slots_) {
        const auto at = std::max(head->readyAt, notBefore);
        if (!first || at < first->at) {
            return Event{at, head, &SimulatedCluster::start};
        }
    }
    return first;
}

/// What will happen to a job by itself, whatever the queue.
std::optional<SimulatedCluster::Event> SimulatedCluster::nextOf(SimulatedJob& job) {
    using enum SimulatedFault;
    std::optional<Event> first;
    const auto consider = [&](WallTime at, auto happens) {
        if (!first || at < first->at) {
            first = Event{at, &job, happens};
        }
    };
    if (job.lateAt) {
        consider(*job.lateAt, &SimulatedCluster::startLate);
    }
    if (!alive(job)) {
        return first;
    }
    const auto& key = job.key.value;
    if (faults_.strikes(JobLost, key)) {
        consider(job.submittedAt + part(kLatestLoss, faults_.detail(JobLost, key)),
                 &SimulatedCluster::lose);
    }
    if (job.state == SimulatedState::Running) {
        const auto work = workload_.work(job.key);
        if (job.run == 1 && faults_.strikes(RunLostLate, key)) {
            consider(*job.startedAt + part(work.runTime, faults_.detail(RunLostLate, key)),
                     &SimulatedCluster::startAgain);
        }
        consider(*job.startedAt + work.runTime, &SimulatedCluster::endByItself);
        consider(std::max(job.deadline, *job.startedAt), &SimulatedCluster::endByDeadline);
    }
    return first;
}

void SimulatedCluster::start(SimulatedJob& job, WallTime at) {
    using enum SimulatedFault;
    if (job.run == 1 && faults_.strikes(RunLostEarly, job.key.value)) {
        tables_.count(RunLostEarly);
        job.run = 2;
        job.readyAt = at + kRestart;
        return;
    }
    if (faults_.strikes(NodeFailed, job.key.value)) {
        fail(job, at);
        return;
    }
    job.startedAt = at;
    const auto marked = folders_.begin({job.key, job.account});
    if (marked && *marked == folder::MarkOutcome::Taken) {
        job.state = SimulatedState::Running;
        job.scriptAt = at;
        return;
    }
    end(job, at);
    job.exitCode = marked ? kMarkerLost : kNoFolder;
}

/// Before its script started, as far as the batch system knows.
void SimulatedCluster::fail(SimulatedJob& job, WallTime at) {
    tables_.count(SimulatedFault::NodeFailed);
    job.startedAt = at;
    job.nodeFailed = true;
    end(job, at);
    const auto detail = faults_.detail(SimulatedFault::NodeFailed, job.key.value);
    if (detail > 0.5) {
        job.lateAt = at + part(kLatestCopy, 2 * detail - 1);
    }
}

/// The node that did not answer goes on for a moment: its loader finds the marker free or taken.
void SimulatedCluster::startLate(SimulatedJob& job, WallTime at) {
    job.lateAt.reset();
    if (const auto marked = folders_.begin({job.key, job.account});
        marked && *marked == folder::MarkOutcome::Taken) {
        job.scriptAt = at;
    }
}

void SimulatedCluster::end(SimulatedJob& job, WallTime at) {
    job.printed = job.printed.value_or(printedAt(job, at));
    job.state = SimulatedState::Ended;
    job.endedAt = at;
    if (delay(job).count() > 0) {
        tables_.count(SimulatedFault::OutputsLate);
    }
}

void SimulatedCluster::endByItself(SimulatedJob& job, WallTime at) {
    const auto work = workload_.work(job.key);
    end(job, at);
    job.signal = work.signal;
    job.exitCode = work.signal ? std::nullopt : std::optional(work.exitCode);
    job.verdict = SimulatedEnd::ByItself;
}

void SimulatedCluster::endByDeadline(SimulatedJob& job, WallTime at) {
    end(job, at);
    job.exitCode = 0;
    job.verdict = SimulatedEnd::Deadline;
}

void SimulatedCluster::lose(SimulatedJob& job, WallTime at) {
    tables_.count(SimulatedFault::JobLost);
    job.printed = printedAt(job, at);
    job.state = SimulatedState::Lost;
}

void SimulatedCluster::startAgain(SimulatedJob& job, WallTime at) {
    tables_.count(SimulatedFault::RunLostLate);
    job.printed = printedAt(job, at);
    job.state = SimulatedState::Pending;
    job.run = 2;
    job.startedAt.reset();
    job.readyAt = at + kRestart;
}

void SimulatedCluster::cancel(SimulatedJob& job, CancelKind kind, WallTime now) {
    const bool asked = kind == CancelKind::Soft && job.state == SimulatedState::Running;
    end(job, now);
    job.removed = !asked;
    if (asked) {
        job.exitCode = 0;
        job.verdict = SimulatedEnd::Canceled;
    }
}

bool SimulatedCluster::visible(const SimulatedJob& job, WallTime now) const {
    if (job.state == SimulatedState::Lost) {
        return false;
    }
    if (!faults_.strikes(SimulatedFault::AbsentForAWhile, job.key.value)) {
        return true;
    }
    const auto from =
        job.submittedAt +
        part(kAbsence, faults_.detail(SimulatedFault::AbsentForAWhile, job.key.value));
    return now < from || now >= from + kAbsence;
}

Millis SimulatedCluster::delay(const SimulatedJob& job) const {
    using enum SimulatedFault;
    return faults_.strikes(OutputsLate, job.key.value)
               ? part(kLongestDelay, faults_.detail(OutputsLate, job.key.value))
               : Millis(0);
}

std::int64_t SimulatedCluster::printedAt(const SimulatedJob& job, WallTime then) {
    if (!job.scriptAt || then < *job.scriptAt) {
        return 0;
    }
    const auto work = workload_.work(job.key);
    const auto size = static_cast<std::int64_t>(work.log.size());
    const auto ran = std::min(then - *job.scriptAt, work.printTime);
    const auto bytes =
        work.printTime.count() == 0 ? size : size * ran.count() / work.printTime.count();
    return job.printed ? std::min(bytes, *job.printed) : bytes;
}

std::string SimulatedCluster::log(const SimulatedJob& job, WallTime then) {
    const auto bytes = printedAt(job, then);
    if (bytes == 0 && !job.verdict) {
        return {};
    }
    auto work = workload_.work(job.key);
    work.log.resize(static_cast<std::size_t>(bytes));
    const bool stopped = job.verdict == SimulatedEnd::Canceled && then >= *job.endedAt;
    return stopped ? work.log + work.farewell : work.log;
}

std::optional<std::string> SimulatedCluster::status(const SimulatedJob& job, WallTime then) {
    if (!job.verdict || then < *job.endedAt) {
        return std::nullopt;
    }
    const auto length = static_cast<std::int64_t>(log(job, *job.endedAt).size());
    return workload_.status(job.key, {*job.verdict, *job.endedAt, length});
}

}  // namespace gridbridge
