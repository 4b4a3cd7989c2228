#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/base/Lane.h"
#include "bridge/core/Access.h"
#include "bridge/core/Facts.h"
#include "bridge/core/Identity.h"
#include "bridge/core/ResourceRules.h"
#include "bridge/core/RunAs.h"
#include "bridge/folder/JobFolders.h"
#include "bridge/folder/ProcessTable.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/gitlab/Masker.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::core {

/// One configured batch system as the core uses it. The lanes are its own, so that a call that
/// hangs hinders no other backend and no heartbeat.
struct BackendEntry {
    std::string name;
    Backend& backend;
    folder::JobFolders& folders;
    Policy policy;
    Lane& reads;
    Lane& effects;
    Lane* fetches = nullptr;  ///< With filesByCollect: what takes long delays nothing else.

    RunAs runAs = {};
    ResourceRules resources = {};
    payload::ContainerCommands container = {};
    payload::Site site = {};

    // Owner thread only.
    SteadyTime nextPoll = {};
    bool polling = false;
    bool healthy = false;
    SteadyTime fullUntil = {};
    std::string pollTrouble = {};    ///< Why the last look or probe failed; empty = it was well.
    std::string submitTrouble = {};  ///< The same of the last submission.
    std::string troubleTold = {};    ///< Empty = none.
    SteadyTime troubleToldAt = {};
};

/// One configured runner as the core uses it. The claimer reads it too: what stands below `access`
/// is for the owner thread alone, and may change.
struct RunnerEntry {
    std::string name;
    std::string url;
    gitlab::RunnerApi& api;
    Identity identity;
    std::string backend;
    std::string description;
    std::string tlsCa;  ///< PEM text; empty = the system's authorities.

    Access access = {};
    std::int64_t outputLimit = 4096 * 1024;  ///< Bytes.
    std::int64_t artifactLimit = payload::kMostMemberBytes;
    std::vector<std::string> environment = {};
    bool debugTraceDisabled = false;
    payload::CacheStore cache = {};  ///< Without the account, which each job has.
    std::vector<std::string> allowedImages = {};
    bool imageIgnored = false;
};

/// Everything outside the core, by name. The maps only grow, in the owner thread.
struct World {
    std::map<std::string, std::unique_ptr<BackendEntry>> backends;
    std::map<std::string, std::unique_ptr<RunnerEntry>> runners;
    Lane& control;  ///< Heartbeats, traces, reports: never waits for files.
    Lane& files;    ///< Artifacts,
    Lane& bulk;     ///< and those that take so long that no small one is to wait for them.
    std::string host;
    std::string version;
    std::filesystem::path spool;  ///< Folder for files without a name: what is being downloaded.
    std::string bootId = folder::currentBootId();  ///< The machine's own; other only in tests.

    Lane& laneFor(std::int64_t bytes) const {
        constexpr std::int64_t kBulk = std::int64_t{64} << 20;
        return bytes < kBulk ? files : bulk;
    }
};

/// How far a try of a job to get what it depends on has come, since the start of the service.
struct DownloadProgress {
    std::size_t done = 0;                  ///< Dependencies that are there.
    int tries = 0;                         ///< That failed; so is all below.
    std::optional<std::string> told = {};  ///< The kind of the last failure that the log tells.
    std::optional<SteadyTime> refusedSince = {};  ///< Nothing but a proxy's refusals since then.
};

/// How far the uploads of a job have come since the start of the service. After a restart they
/// begin anew, with the same bytes: GitLab takes them twice.
struct UploadProgress {
    std::size_t sent = 0;   ///< Artifacts that are through, or had nothing to send.
    int tries = 0;          ///< Of the one that follows; so is all below.
    bool surveyed = false;  ///< The log tells what is in it.
    std::string filename = {};
    std::optional<std::string> names = {};  ///< What the node told of it beside the tarball.
    int refusals = 0;
    std::optional<SteadyTime> notFoundSince = {};  ///< Nothing but a proxy's 404 since then.
    std::optional<gitlab::CallOutcome> told = {};  ///< The last failure that the log tells.
};

/// What a look at a batch job needs to know.
struct Look {
    JobRow row{};
    int attempt = 0;
    JobRef ref = {};
    int run = 1;
    std::int64_t rawOffset = 0;
    bool logOpen = false;  ///< Its end is looked for,
    bool limited = false;  ///< but no more of its log is shown.
    bool early = false;    ///< Begun before the files came that `collect` brings.
};

/// What is remembered of an open job in memory; all of it can be learnt again after a restart.
struct Live {
    std::string runner;
    std::string backend;
    std::string key;  ///< Job key.
    bool waiting = true;
    bool goesOn = false;     ///< Between the claim and the submission, and not to be waited for.
    bool duplicate = false;  ///< An older row is the same job of the same server.
    bool greeted = false;    ///< Claimed before this start; else its claim is to be acknowledged.
    bool counted = false;    ///< In the backend's number of waiting jobs.

    gitlab::JobCredentials credentials;
    std::size_t payloadBytes = 0;         ///< Of the description; 0 while it is not known.
    std::optional<SteadyTime> tokenDies;  ///< Nothing where only GitLab can tell.
    bool learnt = false;                  ///< What follows is that of the job's description.
    bool sections = true;
    payload::LogWishes wishes;
    std::optional<std::chrono::seconds> wallTime;
    bool hasDependencies = false;
    int downloaded = 0;   ///< The attempt in whose folder they are.
    int downloading = 0;  ///< The attempt for which `downloads` counts.
    DownloadProgress downloads;
    std::stop_source stopDownload{
        std::nostopstate};  ///< Of the one under way: the job needs it no more.
    bool hasUploads = false;
    UploadProgress uploads;
    bool uploadWanted = false;                     ///< Once GitLab is back.
    std::shared_ptr<const gitlab::Masker> masker;  ///< Null until the log is first read.
    /// Null unless it is small and the job goes on.
    std::shared_ptr<const gitlab::JobDescription> description;

    EffectSet inFlight;
    int failures = 0;
    std::optional<SteadyTime> failingSince;
    int fetched = 0;           ///< The attempt of which `collect` has brought its files.
    std::int64_t rawSeen = 0;  ///< Raw bytes seen so far, those held back included.

    // The conversation with GitLab.
    int attempt = 0;
    std::optional<Look> look;  ///< A batch job of ours may be there.
    bool lookWanted = false;   ///< Something has changed since the one under way began.
    bool reportWanted = false;
    std::optional<Observation> seen;  ///< The last one that was decided upon.

    bool talking = false;    ///< One call about a job at a time.
    bool settled = false;    ///< Nothing more may be sent.
    bool reportDue = false;  ///< GitLab is still to take the final report.
    /// A report of success or failure has gone out, perhaps before a restart.
    std::optional<bool> reported;
    bool reporting = false;                 ///< The report sends what is left of the trace.
    SteadyTime talkAt = SteadyTime::max();  ///< Its place in the agenda.
    SteadyTime lastContact = {};
    SteadyTime lastPatch = {};
    SteadyTime quietUntil = {};  ///< Back-off after a failed call.
    int failedCalls = 0;
    std::optional<SteadyTime> refusedSince = {};        ///< Nothing but refusals since then.
    std::optional<SteadyTime> reportRefusedSince = {};  ///< The same of the report.
    std::optional<SteadyTime> deferredSince = {};       ///< First 202 to the report.
    bool reportWaits = false;                           ///< For GitLab to be less busy, or back.
    std::size_t patchBytes = std::size_t{1} << 20U;     ///< Most log in one call.
    Millis updateInterval{3000};
    std::int64_t traceLength = 0;              ///< Committed.
    std::int64_t traceLost = 0;                ///< Of those.
    std::optional<std::int64_t> traceOnDisk;   ///< Its size when it is shorter than committed.
    std::optional<std::int64_t> acknowledged;  ///< Bytes that GitLab has; unknown after a restart.
};

/// Whether `collect` has brought the files of the job's attempt. With filesByCollect it is known
/// after a restart too, once the status file was read, which came with the others.
inline bool isFetched(const store::JobRecord& job, const Live& live, const Capabilities& backend) {
    return live.fetched == job.submission.attempt ||
           (backend.filesByCollect && !job.submission.status.empty());
}

/// News for the core from any thread.
struct Answer {
    JobRow row{};
    int attempt = 0;  ///< 0 = whatever the attempt.
    std::function<void(Facts&, Live&)> apply;
};

/// From any thread to the core, which it wakes.
class Answers {
public:
    void post(Answer answer) { queue_.push(std::move(answer)); }
    std::vector<Answer> take() { return queue_.takeAll(); }
    void waitUntil(SteadyTime deadline, std::stop_token stop) { queue_.waitUntil(deadline, stop); }

private:
    Queue<Answer> queue_;
};

/// For a backend that learns of changes by itself: has the core look at the job at once.
/// `answers` must outlive the listener.
ChangeListener changeListener(Answers& answers);

}  // namespace gridbridge::core
