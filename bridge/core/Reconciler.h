#pragma once

#include <spdlog/logger.h>

#include <set>
#include <unordered_map>

#include "bridge/core/Capacity.h"
#include "bridge/core/Conversation.h"
#include "bridge/core/Decision.h"
#include "bridge/core/Effects.h"
#include "bridge/core/Outage.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::core {

/// The heart: loads the jobs that are due or of which there is news, decides, writes their traces,
/// commits everything in one transaction, and only then starts effects. Owner thread only; all
/// references must outlive it.
class Reconciler {
public:
    Reconciler(Clock& clock, store::JobStore& store, World& world, Answers& answers, Trace& trace,
               Capacity& capacity, spdlog::logger& log, Decide decide = core::decide);

    /// One step; returns when the next is due if no news comes before.
    /// Throws StoreError only when the store is beyond help; a busy or full one is waited for.
    SteadyTime step();

    /// Whom a runner takes has changed: stops the waiting jobs that it would refuse now.
    void accessChanged();

private:
    struct Ready;

    void adopt(const store::JobRecord& job, bool claimedHere);
    void identify(const store::JobRecord& job, Live& live);
    void learn(JobRow row, Live& live);
    void followClock();
    /// A stored moment on the clock that nobody sets; this step's without one.
    SteadyTime steadyOf(std::optional<WallTime> at) const {
        return steadyNow_ + (at.value_or(now_) - now_);
    }
    /// Or while it could not write. Before any job is adopted.
    void followClockSetWhileDown();
    void noteUnwritable(const store::StoreError& error);
    bool takeRoom(const Live& job);
    void hear();
    void hearRequests();
    void judge(const store::JobRecord& job);
    void hearCancel(const store::Request& request);
    void hearDrain(const store::Request& request);
    void settled();
    std::set<JobRow> dueRows();
    void hear(const Answer& answer, Live& live);
    bool newsworthy(const Facts& facts, const Live& live) const;
    void complete(const store::JobRecord& job, Facts& facts, Live& live);
    void taken(const store::JobRecord& job, Live& live);
    void tellTransfers(const store::JobRecord& job, const Facts& facts, Live& live);
    /// The alarm for jobs that GitLab might drop, at most hourly.
    void noteQueue(std::chrono::seconds waited, const Live& live);
    Decoded decode(const store::JobRecord& job, Live& live);
    std::optional<Ready> decideOne(const store::JobRecord& job);
    void noteSubmission(BackendEntry& backend, const Result<Submission>& outcome);
    /// One alarm when it begins to take no jobs, one line when it takes them again.
    void tellTrouble(BackendEntry& backend);
    bool commit(std::vector<Ready>& ready);
    void remember(const Ready& ready);
    void start(const std::vector<Ready>& ready);
    void startOne(const Ready& ready);
    void carryOut(Effect effect, const store::JobRecord& job, Live& live);
    void dropped(const store::JobRecord& job);
    void startReport(const store::JobRecord& job, Live& live, bool itsTurn = false);
    void startReport(JobRow row, bool itsTurn);
    void poll();
    SteadyTime converse();
    void schedule(JobRow row, Live& live);
    Look lookFor(const store::JobRecord& job, Live& live);
    void refresh(Live& live, const store::JobRecord& job);
    BackendEntry& backendOf(const Live& live) { return *world_.backends.at(live.backend); }
    /// What GitLab said of the job; an error when that is gone or cannot be understood.
    Result<std::shared_ptr<const gitlab::JobDescription>> describe(JobRow row, Live& live);
    payload::ScriptContext context(const gitlab::JobDescription& job,
                                   const store::JobRecord& record) const;
    /// What the job is to get, or why it gets nothing.
    Result<Grant> grant(const gitlab::JobDescription& job, const store::JobRecord& record,
                        Live& live);
    Result<payload::JobScript> script(const gitlab::JobDescription& job,
                                      const store::JobRecord& record,
                                      const Resources& resources) const;
    /// Whether all that the job's log must not show is known.
    bool canMask(const store::JobRecord& job, Live& live);
    std::shared_ptr<const gitlab::Masker> masker(const store::JobRecord& job, Live& live);
    /// `text` as it may be shown.
    std::string masked(const std::string& text, const store::JobRecord& job, Live& live);
    void makeMasker(const gitlab::JobDescription& job, const Result<payload::JobScript>& script,
                    Live& live);
    ReadySubmission prepare(const store::JobRecord& job, Live& live);

    Clock& clock_;
    store::JobStore& store_;
    World& world_;
    Answers& answers_;
    Trace& trace_;
    Capacity& capacity_;
    spdlog::logger& log_;
    const Decide decide_;
    Effects effects_;
    Conversation conversation_;

    std::unordered_map<JobRow, Live> lives_;
    std::unordered_map<JobRow, Facts> facts_;
    std::set<std::pair<SteadyTime, JobRow>> agenda_;
    std::map<std::string, int> waiting_;
    /// Bytes of descriptions on their way to each backend, and of those that this step may send
    /// there.
    std::optional<std::map<std::string, std::size_t>> prepared_;
    std::map<std::string, std::vector<Look>> looks_;
    std::vector<store::Settlement> settlements_;  ///< Of this step.
    bool requestsOpen_ = false;
    WallTime queueAlarmAt_ = {};
    WallTime now_;          ///< Of this step: within one the clock may be set.
    SteadyTime steadyNow_;  ///< At that moment.
    WallTime bootAt_;       ///< As it is stored: what open jobs' times go by.
    JobRow lastAdopted_{};
    JobRow lastBefore_{};  ///< That of then: it and those before were claimed before that moment.
    SteadyTime retryAt_ = {};
    Outage trouble_;  ///< Of traces and the database.
};

}  // namespace gridbridge::core
