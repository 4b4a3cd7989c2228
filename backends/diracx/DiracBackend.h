#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backends/api/Backend.h"
#include "backends/api/SchedulerCommands.h"
#include "backends/diracx/DiracQuery.h"
#include "backends/diracx/DiracxJdl.h"
#include "backends/diracx/DiracxSandbox.h"
#include "backends/diracx/DiracxStates.h"
#include "backends/diracx/LiveLog.h"
#include "backends/diracx/LiveLogReceiver.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// In a submission's `in/`: by whose login it was submitted.
inline constexpr const char* kOwnerName = "diracx-owner";
/// In `in/`: what of `out/` is to come back, a name a line.
inline constexpr const char* kOutputsName = "diracx-outputs";
/// Why nothing can be said of a job.
inline constexpr const char* kDiracHidden =
    "DIRAC knows the job, and does not show it to this login";

/// Jobs of a grid that DIRAC schedules. Its nodes see no folder of ours: a job's files go there and
/// back in sandboxes. A job's name is its key, its group the installation; both, and whose login it
/// is, are in every search. DIRAC itself starts a job again whose pilot failed it: one that may
/// have started its script is killed then, unless reruns are allowed. A class below says which way
/// leads to DIRAC.
class DiracBackend : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                       std::span<const JobRef> refs) override;
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override;
    std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                           std::span<const LogRequest> requests) override;
    std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                              std::span<const CancelRequest> requests) override;
    std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                std::span<const JobRef> refs) override;
    std::vector<Result<void>> release(const CallContext& ctx,
                                      std::span<const JobRef> refs) override;

protected:
    struct Described {
        const BatchJob* job = nullptr;
        std::string jdl;
    };
    struct EndedJob {
        JobRef ref;
        std::int64_t id = 0;
    };

    /// The files of jobs belong to the service. The references must outlive it. With a live log it
    /// listens from then on, and throws as LiveLogReceiver does.
    DiracBackend(DiracJobConfig config, folder::JobFolders& folders, ProcessRunner& runner,
                 Clock& clock, Teller tell);

    /// A complete answer, of the jobs of whoever has logged in, each with its name, whatever that
    /// is.
    virtual Result<DiracxFound> search(const CallContext& ctx, const DiracxQuery& query) = 0;
    /// The states in which the jobs are then, one at least.
    virtual Result<std::map<std::int64_t, std::string>> killThese(
        const CallContext& ctx, std::span<const DiracxKill> kills) = 0;
    /// Whose kill it was, and what for, a job's history tells.
    virtual bool historyTellsWhoKilled() const = 0;
    /// The key of the configuration that says whose login it is.
    virtual const char* loginKey() const = 0;
    /// Whose login it is, where that is told at once; nothing = a search tells.
    virtual std::optional<Result<DiracOwner>> login() { return std::nullopt; }
    /// The sandbox with the wrapper that all jobs share; empty = each has its own.
    virtual Result<std::string> giveWrapper(const CallContext& ctx) = 0;
    /// The sandboxes of a job besides that one; Permanent where these are too many bytes.
    virtual Result<std::vector<std::string>> giveFiles(const CallContext& ctx, const BatchJob& job,
                                                       std::vector<SandboxFile> files) = 0;
    /// The ids of the jobs, of which there is one at least, as jobs of this owner.
    virtual std::vector<Result<std::int64_t>> hand(const CallContext& ctx, const DiracOwner& owner,
                                                   std::span<const Described> jobs) = 0;
    /// Puts the output sandboxes of jobs into their folders: true, or false = there is none yet.
    /// Permanent: it is lost.
    virtual std::vector<Result<bool>> fetch(const CallContext& ctx,
                                            std::span<const EndedJob> jobs) = 0;
    /// Of a sandbox, packed.
    virtual std::int64_t mostPacked() const = 0;

    /// The refusal of a job, with what is unusual in it.
    Error refusalOf(const BatchJob& job, Error error) const;
    /// Names in `out/` that come back.
    Result<std::set<std::string>> wantedOf(const folder::FolderRef& folder);
    /// Where a sandbox's files go, as long as there is time; adds to `begun` the names that it
    /// took.
    SandboxSink sinkInto(const CallContext& ctx, const folder::FolderRef& folder,
                         std::set<std::string>& begun);
    /// What has come of a sandbox that did not come whole: log and status stay, for they may be
    /// all that anybody will know of the job.
    void emptyAllButLog(const folder::FolderRef& folder, const std::set<std::string>& begun);

    /// Whether a job's output has been missing for so long that it will not come.
    bool hasWaited(const std::string& key);
    /// A job's log is shown while it runs, and its script hears of a cancel.
    bool isLive() const { return receiver_ != nullptr; }

    folder::JobFolders& folders() { return folders_; }
    Clock& clock() { return clock_; }
    void tell(const std::string& text) const { tell_(text); }

private:
    /// Rows of a search by key; the first of each is the one that counts: one that started, else
    /// one that is not over, else the lowest id.
    struct Known {
        std::optional<DiracOwner> owner;  ///< Whose they are; nothing where nobody asked.
        std::map<std::string, std::vector<DiracxJob>> jobs;
        WallTime serverNow{};
        std::set<std::int64_t> hidden = {};  ///< Ids of jobs that are there, and no more is known.
        const DiracxJob* of(const SubmissionKey& key) const;
        bool hides(const JobRef& ref) const;
    };
    /// Of which jobs; of two copies it tells which counts.
    enum class Histories { None, OfCopies, All };
    using Pasts = std::map<std::string, DiracxPast>;  ///< By key.
    struct Remembered {
        std::string words;  ///< What the row said when the history was read.
        DiracxPast past;
    };

    struct Killed {
        Known known;                 ///< As last seen, before the last kill.
        std::set<std::int64_t> ids;  ///< Proven by the state in DIRAC's answers.
        std::optional<Error> error;  ///< Of all others.
    };

    /// Transient, misconfigured, where one that is not there was submitted by another login: then
    /// that it is not there says nothing.
    /// `rows`: what has just been told of all of them.
    Result<Known> look(const CallContext& ctx, std::span<const JobRef> refs, Histories histories,
                       const Known* rows = nullptr);
    Result<void> lookBy(const CallContext& ctx, const DiracxQuery& query, Known& known);
    Result<void> ownersOfMissing(std::span<const JobRef> refs, const Known& known);
    /// In the job's folder: whose login it was submitted by; nobody's where it was not.
    Result<void> writeOwner(const BatchJob& job, const std::string& owner);
    /// Which of these DIRAC may know: those that it was, or may have been, handed. Where a search
    /// costs little, and tells more, all.
    std::vector<JobRef> handedBefore(std::span<const BatchJob> jobs, bool searchIsCheap);
    /// Of those that need it, asked anew for those that changed.
    /// Where it is asked for and there is none, nothing is known of the job.
    Result<Pasts> pasts(const CallContext& ctx, const Known& known);
    /// What is remembered of them, or told in their rows; adds to `changed` the others that need
    /// one, those of which nothing is remembered first.
    Pasts remembered(const Known& known, std::vector<JobRef>& changed);
    /// What our own marks tell of kills, where histories do not.
    void addKills(const Known& known, Pasts& pasts);
    void markKill(const std::string& key, const char* why);
    /// What is to be killed of these, at times that DIRAC takes for the newest.
    static DiracxKill killOf(const DiracxJob& job, WallTime serverNow, const char* why);
    Result<std::map<std::int64_t, std::string>> kill(const CallContext& ctx,
                                                     const std::vector<DiracxKill>& kills);
    std::vector<DiracxKill> unwanted(const Known& known, bool onlyWaiting);
    /// Whatever of these jobs is not over, or waits, in as many tries as that may need.
    Killed killAll(const CallContext& ctx, std::span<const JobRef> refs, bool onlyWaiting);
    /// Of one key there is to be one job.
    void killSecondCopies(const CallContext& ctx, const Known& known);
    /// Keys of those that are known to have started.
    std::set<std::string> startedOf(std::span<const JobRef> refs);
    /// `started`: it was told before the rows of `known`.
    void killReruns(const CallContext& ctx, const Known& known, const Pasts& pasts,
                    const std::set<std::string>& started);

    Result<std::vector<SandboxFile>> filesFor(const BatchJob& job);
    /// What the core put into the job's folder before.
    Result<void> addPut(const folder::FolderRef& folder, std::vector<SandboxFile>& files);
    Result<std::string> prepare(const CallContext& ctx, const BatchJob& job,
                                const std::string& wrapper);
    void submitNew(const CallContext& ctx, const DiracOwner& owner, std::span<const BatchJob> jobs,
                   const std::vector<std::size_t>& which, std::vector<Result<Submission>>& results);

    /// What can be said without files; nothing = they are to be fetched.
    std::optional<Result<CollectOutcome>> withoutFiles(const CallContext& ctx, const JobRef& ref,
                                                       const Known& known, const Pasts& pasts);
    Result<CollectOutcome> afterFetch(const CallContext& ctx, const JobRef& ref,
                                      const Result<bool>& fetched, const Observation& seen);
    /// What was fetched is whole, and begins with what was shown of that run's log before.
    Result<CollectOutcome> sync(const CallContext& ctx, const JobRef& ref, int run);
    /// Asks the scripts of jobs that run to end; those that hear of it soon.
    std::set<std::string> askToEnd(const CallContext& ctx, std::span<const CancelRequest> requests);
    bool hears(const JobRef& ref);
    void forgetLive(const SubmissionKey& key);
    /// All that will come is here; that word is for the job's log where no status file tells more.
    Result<CollectOutcome> leaveWord(const CallContext& ctx, const JobRef& ref, int run,
                                     const std::string& word);
    void addExitCodes(std::vector<Observation>& seen, std::span<const JobRef> refs);
    void tellUnknown(const DiracxJob& job);

    const DiracJobConfig config_;
    folder::JobFolders& folders_;
    Clock& clock_;
    const Teller tell_;
    SchedulerCommands commands_;  ///< For what syncs a folder.
    LiveLog liveLog_;
    const std::unique_ptr<LiveLogReceiver> receiver_;  ///< Null: nothing listens.
    std::mutex mutex_;
    std::map<std::string, Remembered> remembered_;     ///< By key.
    std::map<std::string, SteadyTime> outputMissing_;  ///< By key, since when.
    std::map<std::string, SteadyTime> askedToEnd_;     ///< The same.
    std::set<std::string> told_;
};

}  // namespace gridbridge
