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
#include "backends/diracx/DiracCredential.h"
#include "backends/diracx/DiracTokens.h"
#include "backends/diracx/DiracxClient.h"
#include "backends/diracx/DiracxJdl.h"
#include "backends/diracx/DiracxSandbox.h"
#include "backends/diracx/DiracxStates.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// In a submission's `in/`: by whose login it was submitted.
inline constexpr const char* kOwnerName = "diracx-owner";

/// Jobs of a grid that DIRAC schedules, by the REST interface of DiracX. Its nodes see no folder of
/// ours: a job's files go there and back in sandboxes. A job's name is its key, its group the
/// installation; both, and whose token it is, are in every search. DIRAC itself starts a job again
/// whose pilot failed it: one that may have started its script is killed then, unless reruns are
/// allowed.
class DiracxBackend final : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    /// As all backends are made; jobs' files belong to the service. `folders`, `runner` and `clock`
    /// must outlive it. Throws std::invalid_argument where `config` has no usable url.
    DiracxBackend(const DiracxConfig& config, const std::string& runAs, folder::JobFolders& folders,
                  ProcessRunner& runner, Clock& clock, Teller tell);
    /// With `transport` to the DiracX.
    DiracxBackend(DiracxConfig config, std::unique_ptr<http::Transport> transport,
                  folder::JobFolders& folders, ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
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

private:
    /// Rows of a search by key; the first of each is the one that counts: one that started, else
    /// one that is not over, else the lowest id.
    struct Known {
        std::optional<DiracOwner> owner;  ///< Whose they are; nothing where nobody asked.
        std::map<std::string, std::vector<DiracxJob>> jobs;
        WallTime serverNow{};
        const DiracxJob* of(const SubmissionKey& key) const;
    };
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
    Result<Known> look(const CallContext& ctx, std::span<const JobRef> refs, bool history);
    Result<void> lookBy(const CallContext& ctx, const DiracxQuery& query, Known& known);
    Result<void> lookOnce(const CallContext& ctx, const DiracxQuery& query, Known& known);
    Result<void> ownersOfMissing(std::span<const JobRef> refs, const Known& known);
    /// In the job's folder: whose login it was submitted by; nobody's where it was not.
    Result<void> writeOwner(const BatchJob& job, const std::string& owner);
    /// Of those that need it, asked anew for those that changed.
    /// Where it is asked for and there is none, nothing is known of the job.
    Result<std::map<std::string, DiracxPast>> pasts(const CallContext& ctx, const Known& known);
    /// What is to be killed of these, at times that DIRAC takes for the newest.
    static DiracxKill killOf(const DiracxJob& job, WallTime serverNow, const char* why);
    Result<std::map<std::int64_t, std::string>> kill(const CallContext& ctx,
                                                     const std::vector<DiracxKill>& kills);
    /// Whatever of these jobs is not over, or waits, in as many tries as that may need.
    Killed killAll(const CallContext& ctx, std::span<const JobRef> refs, bool onlyWaiting);
    /// Of one key there is to be one job.
    void killSecondCopies(const CallContext& ctx, const Known& known);
    void killReruns(const CallContext& ctx, const Known& known,
                    const std::map<std::string, DiracxPast>& pasts);

    Result<std::vector<SandboxFile>> filesFor(const BatchJob& job);
    /// What the core put into the job's folder before.
    Result<void> addPut(const folder::FolderRef& folder, std::vector<SandboxFile>& files);
    Result<std::string> prepare(const CallContext& ctx, const BatchJob& job,
                                const std::string& wrapper);
    void submitNew(const CallContext& ctx, const DiracOwner& owner, std::span<const BatchJob> jobs,
                   const std::vector<std::size_t>& which, std::vector<Result<Submission>>& results);
    Result<Submission> submitAlone(const CallContext& ctx, const DiracOwner& owner,
                                   const BatchJob& job, const std::string& jdl);

    Result<CollectOutcome> collectOne(const CallContext& ctx, const JobRef& ref);
    Result<CollectOutcome> fetch(const CallContext& ctx, const JobRef& ref, std::int64_t id,
                                 const Observation& seen);
    /// All that will come is here; that word is for the job's log where no status file tells more.
    Result<CollectOutcome> leaveWord(const CallContext& ctx, const JobRef& ref,
                                     const std::string& word);
    Result<CollectOutcome> unpack(const CallContext& ctx, const JobRef& ref,
                                  const std::string& sandbox);
    /// Whether nothing has come for so long that nothing will.
    bool hasWaited(const std::string& key);
    void addExitCodes(std::vector<Observation>& seen, std::span<const JobRef> refs);
    void tellUnknown(const DiracxJob& job);

    const DiracxConfig config_;
    folder::JobFolders& folders_;
    Clock& clock_;
    const Teller tell_;
    SchedulerCommands commands_;  ///< For what syncs a folder.
    std::unique_ptr<http::Transport> transport_;
    DiracTokens tokens_;
    DiracxClient client_;
    std::mutex mutex_;
    std::map<std::string, Remembered> remembered_;     ///< By key.
    std::map<std::string, SteadyTime> outputMissing_;  ///< By key, since when.
    std::set<std::string> told_;
};

}  // namespace gridbridge
