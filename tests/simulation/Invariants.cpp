// What must always hold (design section 3), checked from outside: GitLab's side, the cluster's
// truth, and the files that a person could read.
#include <algorithm>

#include "tests/simulation/Simulation.h"

namespace gridbridge::simulation {

using fakegitlab::JobSnapshot;
using fakegitlab::Status;

namespace {

/// A trace without the service's own lines and section marks.
std::string scriptsOwn(const std::string& trace) {
    constexpr std::string_view kEscape = "\033";
    constexpr std::string_view kLineEnd = "\033[0;m\n";
    constexpr std::string_view kMarkEnd = "\r\033[0K";
    std::string own;
    for (std::size_t at = 0; at < trace.size();) {
        const std::string_view rest = std::string_view(trace).substr(at);
        std::string_view end;
        if (rest.starts_with("section_start:")) {
            end = "\n";
        } else if (rest.starts_with("section_end:")) {
            end = kMarkEnd;
        } else if (rest.starts_with(kEscape)) {
            end = kLineEnd;
        } else {
            own += trace[at++];
            continue;
        }
        const auto found = rest.find(end);
        at = found == std::string_view::npos ? trace.size() : at + found + end.size();
    }
    return own;
}

class Checker {
public:
    explicit Checker(Simulation& run) : run_(run), reader_(run.stateDir()) {}

    std::vector<Finding> check() {
        if (!run_.atRest()) {
            find("comes-to-rest", "something is still open long after all was well again");
        }
        for (const auto& job : run_.plan().jobs) {
            if (run_.offered(job)) {
                checkJob(job);
            }
        }
        checkProtocol();
        checkLeftovers();
        checkSecrets();
        return std::move(findings_);
    }

private:
    void find(const std::string& invariant, const std::string& what) {
        findings_.push_back({invariant, what});
    }

    void checkJob(const PlannedJob& job) {
        const auto id = run_.id(job);
        const auto snapshot = run_.gitlab().job(id);
        const std::string name = job.name + " (" + std::to_string(id) + ")";
        int starts = 0;
        for (const auto& [key, truth] : run_.truths()) {
            starts += truth.job == &job ? truth.starts : 0;
        }
        // Where no marker binds, one that was lost without a trace before its acceptance was heard
        // of cannot be told from one that was never accepted.
        const bool untold = run_.plan().apart && struck(job, {SimulatedFault::JobLost});
        if (starts > 1 && !untold) {
            find("script-starts-once", name + " started " + std::to_string(starts) + " times");
        }
        if (run_.network().claims().count(id) == 0) {
            return;  // Its 201 was lost, or nobody claimed it.
        }
        const auto rows = reader_.byGitlabId(id);
        if (rows.size() != 1 || rows.front().state != store::State::Done) {
            find("no-claim-lost", name + " has no finished row");
            return;
        }
        if (!isEnded(snapshot.status) && !snapshot.erased) {
            find("no-claim-lost", name + " never ended at GitLab");
            return;
        }
        checkReport(job, snapshot, rows.front(), name);
        checkStart(job, snapshot, name);
        checkTime(job, snapshot, name);
        checkTrace(job, snapshot, rows.front(), name);
    }

    /// GitLab ended the job itself.
    static bool takenAway(const JobSnapshot& snapshot) {
        return snapshot.erased || snapshot.acceptedFinals == 0;
    }

    void checkReport(const PlannedJob& job, const JobSnapshot& snapshot,
                     const store::JobRecord& row, const std::string& name) {
        if (!takenAway(snapshot)) {
            if (snapshot.acceptedFinals != 1) {
                find("one-report",
                     name + " was reported " + std::to_string(snapshot.acceptedFinals) + " times");
            }
            checkVerdict(job, snapshot, row, name);
            return;
        }
        const bool byPeople = job.interference != Interference::None;
        if (!byPeople) {
            find("one-report",
                 name + " was never reported, GitLab ended it: " + snapshot.failureReason);
        }
    }

    /// What is reported does not begin any more, so that a retry runs alone; but for a node that
    /// was given up, and for what is ended past its deadline when nobody answers.
    void checkStart(const PlannedJob& job, const JobSnapshot& snapshot, const std::string& name) {
        if (takenAway(snapshot) || struck(job, {SimulatedFault::NodeFailed})) {
            return;
        }
        for (const auto& [key, truth] : run_.truths()) {
            if (truth.job == &job && truth.startedAt && snapshot.endedAt &&
                *truth.startedAt > *snapshot.endedAt &&
                *truth.startedAt < *snapshot.claimedAt + job.timeout) {
                find("no-start-after-report", name + " began after its report");
            }
        }
    }

    /// A job is over, here and at GitLab, soon after its script, a person or its timeout ended it;
    /// outages and faults, of which none is longer, may delay that.
    void checkTime(const PlannedJob& job, const JobSnapshot& snapshot, const std::string& name) {
        Millis patience = std::chrono::minutes(20);
        for (const auto& event : run_.plan().events) {
            patience += event.kind == EventKind::WallJump ? Millis(0) : event.howLong;
        }
        const auto left = leftBy(job);
        auto over = *snapshot.claimedAt + job.timeout;
        if (left && left->end == SimulatedEnd::ByItself) {
            over = std::min<WallTime>(over, left->at);
        }
        if (job.interference != Interference::None) {
            over = std::min<WallTime>(
                over, std::max(run_.begin() + job.interferedAt, *snapshot.claimedAt));
        }
        const auto last = std::max(snapshot.endedAt.value_or(over), left ? left->at : over);
        if (last > over + patience) {
            find("over-in-time",
                 name + " was over " +
                     std::to_string(std::chrono::floor<std::chrono::minutes>(last - over).count()) +
                     " minutes after it should have been");
        }
    }

    /// The end that the script itself left, if it ended by itself.
    std::optional<SimulatedVerdict> leftBy(const PlannedJob& job) const {
        for (const auto& [key, truth] : run_.truths()) {
            if (truth.job == &job && truth.left) {
                return truth.left;
            }
        }
        return std::nullopt;
    }

    bool struck(const PlannedJob& job, std::initializer_list<SimulatedFault> faults) const {
        const SimulatedFaults dice(run_.plan().seed, run_.plan().backendFaults);
        return std::any_of(run_.truths().begin(), run_.truths().end(), [&](const auto& each) {
            return each.second.job == &job &&
                   std::any_of(faults.begin(), faults.end(), [&](SimulatedFault fault) {
                       return dice.strikes(fault, each.first.value);
                   });
        });
    }

    /// Whether the service's clock was set before the job's end: then a node's is another.
    bool nodesClockIsAnother(const JobSnapshot& snapshot) const {
        const auto& events = run_.plan().events;
        return std::any_of(events.begin(), events.end(), [&](const auto& event) {
            return event.kind == EventKind::WallJump &&
                   run_.begin() + event.at <= snapshot.endedAt.value_or(WallTime::max());
        });
    }

    /// Lost before its script started, and a submission was left (`infrastructure_retries`). Those
    /// that never reached the cluster count, too.
    bool couldBeSubmittedAgain(const PlannedJob& job, const JobSnapshot& snapshot,
                               const store::JobRecord& row) const {
        int starts = 0;
        for (const auto& [key, truth] : run_.truths()) {
            starts += truth.job == &job ? truth.starts : 0;
        }
        const bool late =
            snapshot.endedAt.value_or(WallTime::max()) >= *snapshot.claimedAt + job.timeout;
        return starts == 0 && !run_.plan().apart &&
               row.submission.attempt <= core::Policy().infrastructureRetries && !late;
    }

    /// Whether its files were waited for as long as GitLab waits, less what a finish needs. Both
    /// times move along with a clock that is set.
    static bool wasPatient(const PlannedJob& job, const store::JobRecord& row) {
        return row.endedAt && *row.endedAt - row.claimedAt >= job.timeout - job.timeout / 10;
    }

    void checkVerdict(const PlannedJob& job, const JobSnapshot& snapshot,
                      const store::JobRecord& row, const std::string& name) {
        using enum SimulatedFault;
        const auto left = leftBy(job);
        const bool byItself = left && left->end == SimulatedEnd::ByItself;
        const bool tooLate = left && left->end == SimulatedEnd::Deadline;
        const std::string& reason = snapshot.failureReason;
        bool right = false;
        if (snapshot.status == Status::Canceled) {
            right = job.interference == Interference::Cancel;
        } else if (snapshot.status == Status::Success) {
            right = byItself && job.exitCode == 0;
        } else if (reason == "script_failure") {
            right = byItself && job.exitCode != 0 && snapshot.exitCode == job.exitCode;
        } else if (byItself && !job.tooLong()) {
            right = false;  // It had ended well or badly by itself.
        } else if (reason == "job_execution_timeout") {
            right = job.tooLong();
        } else if (reason == "runner_system_failure") {
            right = (struck(job, {JobLost, NodeFailed, RunLostLate}) &&
                     !couldBeSubmittedAgain(job, snapshot, row)) ||
                    (tooLate && nodesClockIsAnother(snapshot)) ||
                    (row.submission.cause == "not_fetched" && wasPatient(job, row));
        }
        if (!right) {
            find("verdict-right",
                 name + " is " + std::string(nameOf(snapshot.status)) + " " + reason +
                     (snapshot.exitCode ? " " + std::to_string(*snapshot.exitCode) : "") +
                     ", its script " +
                     (byItself ? "exited " + std::to_string(job.exitCode)
                               : "left no end of its own"));
        }
    }

    void checkTrace(const PlannedJob& job, const JobSnapshot& snapshot, const store::JobRecord& row,
                    const std::string& name) {
        const auto file =
            fileOf("traces/" + store::jobKey(reader_.installation(), row.row) + ".log");
        if (static_cast<std::int64_t>(file.size()) < row.traceLength) {
            find("trace-exact", name + ": the file is shorter than was committed");
            return;
        }
        const auto committed = file.substr(0, static_cast<std::size_t>(row.traceLength));
        if (!snapshot.erased && (takenAway(snapshot) ? !committed.starts_with(snapshot.trace)
                                                     : committed != snapshot.trace)) {
            find("trace-exact", name + ": GitLab has other bytes than the file");
        }
        const auto own = scriptsOwn(committed);
        const auto left = leftBy(job);
        const bool whole = left && left->end == SimulatedEnd::ByItself && !takenAway(snapshot) &&
                           snapshot.status != Status::Canceled && !job.tooLong() &&
                           committed.find("the log is incomplete") == std::string::npos;
        if (whole ? own != job.expected : !beginsLike(own, job.expected)) {
            find("trace-exact", name + ": the log of its script is wrong, " +
                                    std::to_string(own.size()) + " of " +
                                    std::to_string(job.expected.size()) + " bytes");
        }
    }

    /// A script that was cut off leaves a beginning, perhaps its farewell, and at the cut perhaps
    /// a part of a secret or of a character.
    bool beginsLike(std::string own, const std::string& expected) const {
        const std::size_t cut = run_.plan().jwt ? 800 : 60;  // The longest secret.
        const std::string farewell = PlannedWorkload::kFarewell;
        if (own.ends_with(farewell)) {
            own.resize(own.size() - farewell.size());
        }
        const auto sure = own.size() > cut ? own.substr(0, own.size() - cut) : std::string();
        return expected.starts_with(own) || expected.starts_with(sure);
    }

    void checkProtocol() {
        for (const auto& sentence : run_.gitlab().violations()) {
            const auto has = [&](const char* words) {
                return sentence.find(words) != std::string::npos;
            };
            find(has("no contact for")                 ? "heartbeats-in-budget"
                 : has("a secret stands")              ? "no-secret-out"
                 : has("before the trace is complete") ? "report-after-log"
                                                       : "protocol-kept",
                 sentence);
        }
    }

    void checkLeftovers() {
        for (const auto& key : run_.leftovers()) {
            find("nothing-left", key + " is still at the batch system");
        }
    }

    std::string fileOf(const std::string& name) const {
        return testing::readFile(run_.stateDir() / name);
    }

    void checkSecrets() {
        std::vector<std::pair<std::string, std::string>> texts;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(run_.stateDir())) {
            if (entry.is_regular_file()) {
                texts.emplace_back(entry.path().filename().string(),
                                   testing::readFile(entry.path()));
            }
        }
        for (const auto& line : run_.story()) {
            texts.emplace_back("a line of the service's log", line);
        }
        for (const auto& job : run_.plan().jobs) {
            auto secrets = job.secrets;
            if (run_.offered(job)) {
                secrets.push_back(run_.gitlab().job(run_.id(job)).token);
            }
            for (const auto& secret : secrets) {
                for (const auto& [place, text] : texts) {
                    if (!secret.empty() && text.find(secret) != std::string::npos) {
                        find("no-secret-out", "a secret of " + job.name + " is in " + place);
                    }
                }
            }
        }
    }

    Simulation& run_;
    store::JobReader reader_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check(Simulation& run) {
    return Checker(run).check();
}

}  // namespace gridbridge::simulation
