#include "tests/simulation/Defects.h"

#include "tests/fakes/DatabaseWatch.h"

namespace gridbridge::simulation {

using core::Decision;
using core::Effect;
using core::Facts;
using core::Policy;
using store::JobRecord;
using store::State;

namespace {

/// Decides upon facts or a record that it has spoilt.
class WrongFacts : public Defect {
public:
    Decision decide(const JobRecord& job, const Facts& facts, WallTime now,
                    const Policy& policy) override {
        auto wrongJob = job;
        auto wrongFacts = facts;
        spoilFacts(wrongJob, wrongFacts, now, policy);
        auto decision = core::decide(wrongJob, wrongFacts, now, policy);
        spoilDecision(job, decision);
        return decision;
    }

protected:
    virtual void spoilFacts(JobRecord&, Facts&, WallTime, const Policy&) {}
    virtual void spoilDecision(const JobRecord&, Decision&) {}
};

class SubmitAgainAfterUncertain final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts& facts, WallTime, const Policy&) override {
        again_ = job.state == State::Submitting && facts.submitted && !facts.submitted->ok() &&
                 facts.submitted->error().kind == ErrorKind::Uncertain;
        if (again_) {
            facts.submitted.reset();
            facts.marked = Result<bool>(true);
        }
    }
    void spoilDecision(const JobRecord&, Decision& decision) override {
        if (again_) {
            decision.effects.remove(Effect::Release);
        }
    }
    bool again_ = false;
};

class UnknownReadAsFinished final : public WrongFacts {
    void spoilFacts(JobRecord&, Facts& facts, WallTime, const Policy&) override {
        if (facts.observed && facts.observed->state == BatchState::Unknown) {
            facts.observed->state = BatchState::Ended;
            facts.observed->cause = EndCause::Exited;
            facts.observed->exitCode = 0;
        }
    }
};

class OffsetNotStored final : public Defect {
    void restarted(const std::filesystem::path& database) override {
        testing::Person(database).execute(
            "UPDATE job SET raw_offset = 0, mask_mode = 'plain' WHERE state = 'running'");
    }
};

class MarkerNotTaken final : public Defect {
    Result<folder::MarkOutcome> marked(Result<folder::MarkOutcome>) override {
        return folder::MarkOutcome::Taken;
    }
};

class OwnMarkerNotKnown final : public Defect {
    Result<folder::MarkOutcome> taken(const folder::FolderRef& folder,
                                      Result<folder::MarkOutcome> real) override {
        const bool again = real.ok() && !taken_.insert(folder.key).second;
        return again ? folder::MarkOutcome::AlreadyStarted : real;
    }
    std::set<SubmissionKey> taken_;
};

class HeartbeatForgotten final : public Defect {
    std::optional<fakegitlab::Reply> request(const fakegitlab::Request& request) override {
        const bool beat = request.method == "PUT" &&
                          request.body.find("\"state\":\"running\"") != std::string::npos;
        if (!beat || ++beats_[request.path] <= 3) {
            return std::nullopt;
        }
        return fakegitlab::Reply{.status = 200, .headers = {{"Job-Status", "running"}}, .body = ""};
    }
    std::map<std::string, int> beats_;
};

class ReportBeforeLog final : public Defect {
    std::optional<fakegitlab::Reply> request(const fakegitlab::Request& request) override {
        if (request.method != "PATCH" || request.body.empty() || ++patches_ % 3 != 0) {
            return std::nullopt;
        }
        const auto range = request.header("content-range");
        const auto size = std::stoll("0" + range.substr(range.find('-') + 1)) + 1;
        return fakegitlab::Reply{
            .status = 202,
            .headers = {{"Job-Status", "running"}, {"Range", "0-" + std::to_string(size)}},
            .body = ""};
    }
    int patches_ = 0;
};

class ReusedIdAdopted final : public Defect {
    Result<std::vector<Observation>> observed(std::span<const JobRef> refs,
                                              Result<std::vector<Observation>> real) override {
        if (!real.ok()) {
            return real;
        }
        auto all = std::move(real).value();
        for (std::size_t i = 0; i < refs.size(); ++i) {
            if (refs[i].id.value.empty()) {
                continue;
            }
            const auto [first, isNew] = owners_.try_emplace(refs[i].id.value, refs[i].key);
            if (first->second == refs[i].key) {
                last_[refs[i].id.value] = all[i];
            } else {
                all[i] = last_[refs[i].id.value];
            }
        }
        return all;
    }
    std::map<std::string, SubmissionKey> owners_;
    std::map<std::string, Observation> last_;
};

class SecretSplitOverReads final : public WrongFacts {
    void spoilDecision(const JobRecord&, Decision& decision) override { decision.endOfLog = true; }
};

class ReleaseBeforeReport final : public WrongFacts {
    void spoilDecision(const JobRecord& job, Decision& decision) override {
        if (job.state == State::Reporting && decision.next.submission.releasedAt) {
            decision.next.state = State::Done;
            decision.next.dueAt.reset();
            decision.cause = "released";
            decision.forgetSecrets = true;
        }
    }
};

class EmptyAnswerBelieved final : public Defect {
    Result<std::vector<FoundJob>> found(Result<std::vector<FoundJob>> real) override {
        return real.ok() ? real : Result<std::vector<FoundJob>>(std::vector<FoundJob>{});
    }
    Result<std::vector<Observation>> observed(std::span<const JobRef> refs,
                                              Result<std::vector<Observation>> real) override {
        if (real.ok()) {
            return real;
        }
        Observation absent;
        absent.state = BatchState::Absent;
        return std::vector<Observation>(refs.size(), absent);
    }
    Result<LogChunk> read(Result<LogChunk> real) override {
        return real.ok() ? real : Result<LogChunk>(LogChunk{});
    }
};

class OneLookBelieved final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts& facts, WallTime now, const Policy& policy) override {
        if (facts.observed && facts.observed->state == BatchState::Absent) {
            job.submission.absentSince = now - policy.capabilities.visibilityDelay;
        }
    }
};

class SecondRunBelieved final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts& facts, WallTime, const Policy&) override {
        job.submission.run = 1;
        if (facts.observed) {
            facts.observed->run = 1;
        }
    }
};

class ClaimForgottenAtRestart final : public Defect {
    void restarted(const std::filesystem::path& database) override {
        const std::string waiting =
            "(SELECT id FROM job WHERE state IN ('received', 'claimed', 'submitting'))";
        testing::Person person(database);
        for (const std::string table : {"job_secret", "submission", "transition"}) {
            person.execute("DELETE FROM " + table + " WHERE job IN " + waiting);
        }
        person.execute("DELETE FROM job WHERE id IN " + waiting);
    }
};

class ReleaseTakenForGranted final : public WrongFacts {
    void spoilFacts(JobRecord&, Facts&, WallTime now, const Policy&) override { now_ = now; }
    void spoilDecision(const JobRecord& job, Decision& decision) override {
        if (job.state == State::Reporting && decision.effects.has(Effect::Release)) {
            decision.effects.remove(Effect::Release);
            decision.next.submission.releasedAt = now_;
        }
    }
    WallTime now_ = {};
};

class LastStepForgotten final : public WrongFacts {
    void spoilDecision(const JobRecord& job, Decision& decision) override {
        if (decision.next.state == State::Done) {
            decision.next.state = job.state;
            decision.next.dueAt.reset();
            decision.cause.clear();
            decision.forgetSecrets = false;
        }
    }
};

class StartedScriptSubmittedAgain final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts& facts, WallTime, const Policy&) override {
        const auto& cause = job.submission.cause;
        const bool watched = job.state == State::Queued || job.state == State::Running;
        if (watched && (cause == "node_failure" || cause == "lost")) {
            if (facts.observed) {
                facts.observed->started = false;
            }
            if (facts.marked && facts.marked->ok()) {
                facts.marked = Result<bool>(true);
            }
        }
    }
};

class NodeFailureNotRetried final : public Defect {
    Decision decide(const JobRecord& job, const Facts& facts, WallTime now,
                    const Policy& policy) override {
        auto stubborn = policy;
        stubborn.infrastructureRetries = 0;
        return core::decide(job, facts, now, stubborn);
    }
};

class CancelIgnored final : public WrongFacts {
    void spoilFacts(JobRecord&, Facts& facts, WallTime, const Policy&) override {
        if (facts.contact == core::Contact::Canceling) {
            facts.contact = {};
        }
    }
};

class DeadlineNotKept final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts&, WallTime now, const Policy&) override {
        if (job.deadline) {
            job.deadline = now + std::chrono::hours(1);
        }
    }
};

class ReportLate final : public Defect {
    Decision decide(const JobRecord& job, const Facts& facts, WallTime now,
                    const Policy& policy) override {
        auto decision = core::decide(job, facts, now, policy);
        const auto late = job.endedAt.value_or(now) + std::chrono::minutes(50);
        if (decision.next.state == State::Reporting && decision.effects.has(Effect::Report) &&
            now < late) {
            decision.effects.remove(Effect::Report);
            decision.next.dueAt = late;
        }
        return decision;
    }
};

/// Where it binds no copy: who has it needs to end nothing.
class MarkerBelieved final : public Defect {
    Decision decide(const JobRecord& job, const Facts& facts, WallTime now,
                    const Policy& policy) override {
        auto wrong = policy;
        wrong.capabilities.filesByCollect =
            policy.capabilities.filesByCollect && job.state != State::Queued;
        auto decision = core::decide(job, facts, now, wrong);
        if (policy.capabilities.filesByCollect && !job.startedAt &&
            decision.next.state == State::Reporting) {
            decision.effects.remove(Effect::CancelHard);
        }
        return decision;
    }
};

/// As if what a look found before the files came counted.
class FetchNotAwaited final : public WrongFacts {
    void spoilFacts(JobRecord& job, Facts& facts, WallTime, const Policy& policy) override {
        if (policy.capabilities.filesByCollect && job.submission.endedAt) {
            facts.fetched = true;
            facts.log = facts.log ? facts.log : core::LogFact{};
        }
    }
};

template <typename Bug>
std::unique_ptr<Defect> make() {
    return std::make_unique<Bug>();
}

}  // namespace

const std::vector<PlantedBug>& plantedBugs() {
    static const std::vector<PlantedBug> kBugs{
        {"SubmitAgainAfterUncertain", "script-starts-once", &make<SubmitAgainAfterUncertain>},
        {"UnknownReadAsFinished", "verdict-right", &make<UnknownReadAsFinished>},
        {"OffsetNotStored", "trace-exact", &make<OffsetNotStored>},
        {"MarkerNotTaken", "script-starts-once", &make<MarkerNotTaken>},
        {"OwnMarkerNotKnown", "verdict-right", &make<OwnMarkerNotKnown>},
        {"HeartbeatForgotten", "heartbeats-in-budget", &make<HeartbeatForgotten>},
        {"ReportBeforeLog", "report-after-log", &make<ReportBeforeLog>},
        {"ReusedIdAdopted", "verdict-right", &make<ReusedIdAdopted>},
        {"SecretSplitOverReads", "no-secret-out", &make<SecretSplitOverReads>},
        {"ReleaseBeforeReport", "one-report", &make<ReleaseBeforeReport>},
        {"EmptyAnswerBelieved", "verdict-right", &make<EmptyAnswerBelieved>},
        {"OneLookBelieved", "verdict-right", &make<OneLookBelieved>},
        {"SecondRunBelieved", "verdict-right", &make<SecondRunBelieved>},
        {"ClaimForgottenAtRestart", "no-claim-lost", &make<ClaimForgottenAtRestart>},
        {"ReleaseTakenForGranted", "nothing-left", &make<ReleaseTakenForGranted>},
        {"LastStepForgotten", "comes-to-rest", &make<LastStepForgotten>},
        {"StartedScriptSubmittedAgain", "script-starts-once", &make<StartedScriptSubmittedAgain>},
        {"NodeFailureNotRetried", "verdict-right", &make<NodeFailureNotRetried>},
        {"CancelIgnored", "over-in-time", &make<CancelIgnored>},
        {"DeadlineNotKept", "one-report", &make<DeadlineNotKept>},
        {"ReportLate", "over-in-time", &make<ReportLate>},
        {"MarkerBelieved", "no-start-after-report", &make<MarkerBelieved>},
        {"FetchNotAwaited", "verdict-right", &make<FetchNotAwaited>}};
    return kBugs;
}

}  // namespace gridbridge::simulation
