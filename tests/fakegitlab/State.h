#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Random.h"
#include "tests/fakegitlab/Faults.h"
#include "tests/fakegitlab/Types.h"

namespace gridbridge::fakegitlab {

/// One process that uses a runner token, by its `system_id`.
struct Manager {
    std::set<std::string> features = {};
    WallTime storedAt = {};  ///< When `features` were stored; GitLab refreshes them seldom.
    WallTime contact = {};
};

struct RunnerState {
    std::int64_t id = 0;
    RunnerSpec spec = {};
    std::map<std::string, Manager> managers = {};
    std::optional<WallTime> contact = {};
    std::string lastUpdate = {};  ///< Current value of X-GitLab-Last-Update.
    WallTime lastUpdateAt = {};
    std::set<std::string> issuedUpdates = {};
};

/// The commit a job runs on.
struct GitPoint {
    std::string sha = {};
    std::string beforeSha = std::string(40, '0');
    std::int64_t pipeline = 0;
};

struct JobState {
    JobId id = 0;
    JobSpec spec = {};
    GitPoint git = {};
    std::int64_t projectId = 0;
    Seconds timeout{0};  ///< Fixed at the claim.
    Status status = Status::Created;
    std::string gone = {};  ///< Why it no longer exists (erased, project deleted); empty = it does.
    std::string token = {};
    std::optional<WallTime> tokenEnd = {};  ///< JWT only.
    std::string failureReason = {};
    std::optional<int> exitCode = {};
    std::string trace = {};
    bool debugTrace = false;
    std::vector<Artifact> artifacts = {};
    bool artifactsExpired = false;
    std::string storageSignature = {};  ///< Of the address at the object storage; empty = none.

    WallTime pendingAt = {};
    std::optional<WallTime> claimedAt = {};
    std::optional<WallTime> endedAt = {};
    WallTime updatedAt = {};  ///< What the reaper looks at.
    std::string runnerToken = {};
    std::string systemId = {};
    std::vector<std::string> secrets = {};         ///< Must never stand in the trace.
    std::set<std::string> reportableReasons = {};  ///< What a client may send.

    struct PendingFinal {
        WallTime at = {};
        std::string body = {};
        Status status = Status::Failed;
        std::string reason = {};
        std::optional<int> exitCode = {};
    };
    std::optional<PendingFinal> pendingFinal;  ///< First final report answered 202.

    // What the client did, for tests and strict checks.
    int acceptedFinals = 0;
    int deferredFinals = 0;
    std::string lastChecksum;
    std::int64_t lastBytesize = -1;
    bool claimDelivered = false;
    bool acknowledged = false;  ///< A PUT running arrived.
    WallTime lastContact;
    Millis maxSilence{0};
    bool silenceReported = false;
    std::optional<WallTime> toldEnd;  ///< When an answer said that the job is over.
    int callsAfterEnd = 0;
};

/// Everything the server knows, and its clockwork. Pure memory: no network, no files, no git.
/// Every member and function needs `mutex` held by the caller, except the constructor.
class State {
public:
    /// `clock` must outlive the state.
    State(Clock& clock, Options serverOptions);

    std::mutex mutex;
    std::condition_variable changed;  ///< Notified after every request and every change by a test.

    const Options options;
    Clock& clock;
    Faults faults;
    std::string url;  ///< Without trailing slash, with the relative root.
    std::string storageUrl;
    bool away = false;
    bool stopping = false;
    int held = 0;  ///< Calls of jobs/request that long polling holds now.

    WallTime now() const { return clock.wallNow(); }

    RunnerState& addRunner(RunnerSpec spec);
    /// Null when unknown, deleted or expired.
    RunnerState* runner(const std::string& token);
    void removeRunner(const std::string& token);
    void setPaused(const std::string& token, bool paused);
    /// Stores manager and contact as verify and jobs/request do.
    void meetManager(RunnerState& owner, const std::string& systemId,
                     const std::optional<std::set<std::string>>& features);
    std::map<std::string, RunnerState>& runners() { return runners_; }

    /// Tags and run_untagged, as the server matches them.
    static bool matches(const RunnerState& owner, const JobState& job);

    JobState& addJob(JobSpec spec, GitPoint git, std::int64_t projectId);
    JobState* job(JobId id);
    /// The job that was ever given this token; null when none was.
    JobState* jobOfToken(const std::string& token);
    /// Pending to running: claim time, timeout, token.
    void start(JobState& job, const RunnerState& owner, const std::string& systemId);
    /// Running or canceling, not gone.
    static bool isExecuting(const JobState& job);
    bool tokenExpired(const JobState& job) const { return job.tokenEnd && *job.tokenEnd <= now(); }
    std::map<JobId, JobState>& jobs() { return jobs_; }
    std::set<JobId>& pending() { return pending_; }
    /// Jobs of a stage stay `created` until all jobs of earlier stages have ended.
    void setStages(std::vector<std::string> stages);
    void openStages();

    /// As a user's click: to canceling or canceled, by what the runner manager declared.
    void cancel(JobState& job);
    void forceCancel(JobState& job);
    void eraseJob(JobState& job, const std::string& message);
    void finish(JobState& job, Status status, const std::string& reason);

    /// All timers of protocol section 7.1, and cancelling by the job's own wish.
    void reap();
    /// reap(), unless it ran within the last 50 ms of the clock.
    void reapNowAndThen();
    void cancelIfTraceSaysSo(JobState& job);

    /// A sign of life of the client for this job.
    void contact(JobState& job);
    /// GitLab's touch: `updated_at` moves only when it is older than 15 minutes.
    void touch(JobState& job);

    void violate(const std::string& sentence);
    void violate(const JobState& job, const std::string& sentence);
    void event(const std::string& line) const;

    /// `length` random characters of [a-z0-9].
    std::string newName(std::size_t length) { return random_.name(length); }
    std::string newHex(std::size_t length);
    std::vector<std::string> violations;
    std::ptrdiff_t seenViolations = 0;   ///< Those that a test has looked at.
    std::deque<RequestRecord> requests;  ///< The latest 100,000.

private:
    void open(JobState& job);
    void newUpdateValue(RunnerState& owner);
    std::string newJobToken(const JobState& job);
    void reapPending(JobState& job, WallTime at);
    void reapActive(JobState& job, WallTime at);
    void checkSilence(JobState& job, WallTime at);
    bool declaresGracefulCancel(const JobState& job);

    Random random_;
    std::map<std::string, RunnerState> runners_;
    std::map<JobId, JobState> jobs_;
    std::map<std::string, JobId> tokens_;
    std::set<JobId> pending_;
    std::vector<std::string> stages_;
    WallTime lastReap_;
    std::int64_t nextRunner_ = 11;
    JobId nextJob_ = 1001;
};

}  // namespace gridbridge::fakegitlab
