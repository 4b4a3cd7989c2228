#pragma once

#include <atomic>
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
#include "backends/arc/ArcClient.h"
#include "backends/arc/ArcDescription.h"
#include "backends/arc/ArcPatience.h"
#include "backends/arc/ArcStates.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of a NorduGrid ARC CE, by the REST interface of A-REX. A job's files are put into its
/// session folder and fetched from there; its log is read there while it runs. Its name is its key.
/// ARC starts no job before all its files are there: one that nobody finishes never runs, so that
/// a submission without an answer is found, and finished or taken back.
class ArcBackend final : public Backend {
public:
    /// What happens only once in a while and concerns no certain job, for the service's log.
    using Teller = std::function<void(const std::string&)>;

    /// As all backends are made; jobs' files belong to the service. `folders`, `runner` and `clock`
    /// must outlive it. Throws std::invalid_argument where `config` has no usable url.
    ArcBackend(const ArcConfig& config, const std::string& runAs, folder::JobFolders& folders,
               ProcessRunner& runner, Clock& clock, Teller tell);
    /// With `transport` to the A-REX.
    ArcBackend(ArcConfig config, std::unique_ptr<http::Transport> transport,
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
    using Turn = ArcPatience::Turn;
    struct Job {
        std::string id;
        std::string state;
    };
    /// One look.
    struct Known {
        std::map<std::string, std::string> states;            ///< By id.
        std::map<std::string, std::vector<std::string>> ids;  ///< By key, where that was asked.
        std::optional<Job> of(const JobRef& ref) const;
        std::vector<Job> all(const JobRef& ref) const;
    };
    /// A file that is to come.
    struct Wanted {
        std::string from;   ///< Where it is there, with a slash.
        std::string name;   ///< In `out/`.
        std::int64_t most;  ///< Bytes.
        bool cut = false;   ///< What is more is left there; otherwise all of it.
    };
    struct Fetched {
        bool isGiven = true;     ///< ARC gives it.
        bool isTooLong = false;  ///< Nothing of it is here.
        std::int64_t size = 0;
    };
    /// One of perhaps several jobs with a key.
    struct Copy {
        Job job;
        ArcFields local;
        bool isWhole = false;  ///< All its files are there: it may start.
        bool isDead = false;   ///< It never started and never will.
    };

    /// `byName`: also of refs with an id.
    Result<Known> look(const CallContext& ctx, std::span<const JobRef> refs, bool byName);
    Result<void> learnNames(const CallContext& ctx, const Known& known);
    /// The names of these; those come back of which ARC does not tell it.
    Result<std::vector<std::string>> learn(const CallContext& ctx,
                                           std::span<const std::string> unknown);
    /// Well when these are gone, or have been without a name for so long that none is ours.
    Result<void> bear(const CallContext& ctx, const std::vector<std::string>& nameless);
    /// What A-REX keeps of a job; nothing where it does not say all of it.
    Result<std::optional<ArcFields>> localOf(const CallContext& ctx, const std::string& id);

    Result<Copy> copyOf(const CallContext& ctx, const JobRef& ref, const Job& job);
    /// The one that counts of those with that key, whose files are all there then; the others are
    /// removed.
    Result<std::optional<FoundJob>> adopt(const CallContext& ctx, const Known& known,
                                          const JobRef& ref);
    Result<void> discard(const CallContext& ctx, const std::vector<std::string>& ids);

    Result<std::string> prepare(const BatchJob& job);
    void submitNew(const CallContext& ctx, std::span<const BatchJob> jobs,
                   const std::vector<std::size_t>& which, std::vector<Result<Submission>>& results);
    Result<Submission> finish(const CallContext& ctx, const BatchJob& job, const ArcEntry& entry,
                              SteadyTime until);
    /// The files that the job waits for, its program last, one piece at least and no new one after
    /// `until`; true: all. `isNew`: none of them is there.
    Result<bool> upload(const CallContext& ctx, const JobRef& ref, const std::string& id,
                        bool isNew, SteadyTime until);
    Result<bool> uploadFile(const CallContext& ctx, const JobRef& ref, const std::string& id,
                            const std::string& name, std::int64_t offset, SteadyTime until);
    /// A-REX' list of the files that are there, one a line.
    Result<std::string> uploadedOf(const CallContext& ctx, const std::string& id);
    /// How much of a file in its `in/` ARC has, or has got once more.
    Result<std::int64_t> offsetThere(const CallContext& ctx, const std::string& id,
                                     const std::string& name);
    /// From the offset that comes back, whatever ARC has of it.
    std::int64_t sendAgain(const std::string& id, const std::string& name);
    /// Of a file that is sent once more ARC has got so much.
    void noteSent(const std::string& id, const std::string& name, std::int64_t offset,
                  std::int64_t size);
    /// `upload` for those of these that wait for files, each in its turn.
    void uploadMore(const CallContext& ctx, std::span<const JobRef> refs, const Known& known,
                    std::vector<Observation>& seen);
    /// Its deadline is not over, and nobody asked for its end.
    bool isWanted(const JobRef& ref);

    /// The information about those that may be on a node, and are not known to have started, and
    /// about those that should be there.
    Result<std::map<std::string, ArcEntry>> informationOf(const CallContext& ctx,
                                                          std::span<const JobRef> refs,
                                                          const Known& known);
    /// Well: the job, which a list does not have, is not there.
    static Result<void> absence(const JobRef& ref, const Known& known,
                                const std::map<std::string, ArcEntry>& told);
    Result<Observation> observationOf(const CallContext& ctx, Turn& turn, const JobRef& ref,
                                      const Known& known,
                                      const std::map<std::string, ArcEntry>& told);
    Result<Observation> inside(const CallContext& ctx, Turn& turn, const Job& job,
                               const std::string& told);
    Result<Observation> ended(const CallContext& ctx, Turn& turn, const JobRef& ref,
                              const Job& job);
    Result<bool> isStarted(const CallContext& ctx, Turn& turn, const std::string& id);
    Result<LogChunk> readLive(const CallContext& ctx, Turn& turn, const LogRequest& request);

    Result<CancelOutcome> cancelOne(const CallContext& ctx, Turn& turn, const Job& job, bool soft);
    Result<CollectOutcome> collectOne(const CallContext& ctx, const JobRef& ref);
    /// What has not come yet of all files of a job.
    Result<void> fetchAll(const CallContext& ctx, const JobRef& ref, const std::string& id);
    /// The files in its `out/`; nothing: that cannot be told, though ARC gives its folder.
    Result<std::optional<std::set<std::string>>> outputsOf(const CallContext& ctx,
                                                           const std::string& id);
    /// What ARC's batch system says itself, which is not worth waiting for.
    void fetchBatchLog(const CallContext& ctx, const JobRef& ref, const std::string& id);
    Result<std::optional<ArcBytes>> pieceOf(const CallContext& ctx, const std::string& id,
                                            const std::string& file, std::int64_t offset,
                                            std::int64_t limit);
    /// So many bytes went or came in one piece, or none in the time for one: how large the next may
    /// be.
    void notePiece(SteadyTime begin, std::optional<std::size_t> bytes,
                   SteadyTime::duration time = kPieceTime);
    /// What has not come yet of a file.
    Result<Fetched> fetch(const CallContext& ctx, const JobRef& ref, const std::string& id,
                          const Wanted& file);
    /// The same of all that is to come; false: some may be there that ARC does not give.
    Result<bool> fetchEach(const CallContext& ctx, const JobRef& ref, const std::string& id,
                           const std::optional<std::set<std::string>>& there, std::string& dropped);
    /// How much of a file in `out/` has come.
    std::int64_t sizeHere(const JobRef& ref, const std::string& name);
    bool mayHaveStarted(const std::string& id);
    /// It, where ARC knows it. That it has ended is taken from a list of a few seconds ago: of
    /// many that end together not each needs one of all jobs.
    Result<std::optional<Job>> endedOf(const CallContext& ctx, const JobRef& ref);
    /// For a while now, and each time that it was asked, something may have been there that ARC
    /// does not give: no longer waited for.
    bool isLongInDoubt(const std::string& id);
    /// Whatever there was of it, ARC did not say so again.
    void endDoubt(const std::string& id);
    /// Of those that wait; well when they are over, or were never there.
    Result<Known> takeBack(const CallContext& ctx, std::span<const JobRef> refs);
    Result<void> releaseOne(const CallContext& ctx, const JobRef& ref, const Known& known,
                            const std::map<std::string, ArcEntry>& told);

    /// In `in/`: what of `out/` is to come back.
    static constexpr const char* kOutputsName = "arc-outputs";
    /// Of a file at a time, and how long that may take.
    static constexpr std::size_t kPiece = std::size_t{8} << 20U;
    static constexpr std::chrono::seconds kPieceTime{30};
    struct Nameless {
        SteadyTime since;
        bool told = false;
    };

    const ArcConfig config_;
    folder::JobFolders& folders_;
    Clock& clock_;
    const Teller tell_;
    SchedulerCommands commands_;  ///< For what syncs a folder.
    std::unique_ptr<http::Transport> transport_;
    ArcClient client_;
    ArcPatience patience_{client_, clock_};
    std::atomic<std::size_t> piece_{kPiece};  ///< Bytes, both ways.
    std::mutex mutex_;
    std::map<std::string, std::string> names_;  ///< By id.
    std::map<std::string, Nameless> nameless_;  ///< By id.
    std::set<std::string> started_;             ///< Ids.
    std::set<std::string> whole_;               ///< Ids: all files are there.
    std::map<std::string, Observation> ended_;  ///< By id.
    struct Doubt {
        SteadyTime since;
        int times = 0;
    };
    std::map<std::string, Doubt> doubts_;  ///< By id.
    /// By id and name: how far a file has been sent once more of which ARC had all bytes.
    std::map<std::pair<std::string, std::string>, std::int64_t> again_;
    Known ends_ = {};  ///< As `collect` saw them last, and when.
    SteadyTime lookedForEnds_ = SteadyTime::min();
    std::size_t turn_ = 0;       ///< Whose files go first.
    std::string observed_ = {};  ///< The key of whom is looked at first, and so on.
    std::string read_ = {};
    std::string canceled_ = {};
};

}  // namespace gridbridge
