#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"
#include "bridge/base/Result.h"

namespace gridbridge {

struct Capabilities {
    std::size_t maxBatch = 1000;   ///< Items per call of any verb.
    std::size_t maxSubmit = 1000;  ///< The same for `submit`, where that is less.
    bool liveLog = false;          ///< readLogs answers while the job runs.
    bool softCancel = false;
    bool sharedFolder = false;  ///< The start marker in the folder binds every copy.
    bool findsByKey = false;
    /// Of a job nothing is in its folder, not even log and status file, before it has ended and
    /// `collect` was Done for it: its log is not read before, unless liveLog says that it can be;
    /// its status file is not given before. What is put into the folder once it is submitted
    /// reaches no copy, so a start marker of ours binds none.
    bool filesByCollect = false;
    std::size_t maxCollect = 1;  ///< Items per call of `collect` with filesByCollect.
    bool reportsUsage = false;   ///< Once the end is seen; one poll is waited for that.
    /// An accepted submission may stay invisible to `find` and `observe` for so long; absence
    /// counts only when seen twice so far apart.
    Millis visibilityDelay{0};
    Millis finishReserve{0};  ///< Time the end needs beyond five minutes.
};

/// A file to be placed in the submission's `in/` before the job can start.
struct InputFile {
    std::string name;  ///< [A-Za-z0-9._-]+
    std::string content;
};

/// What a job is to get, within what the configuration allows; the batch system decides about what
/// is absent.
struct Resources {
    std::optional<std::int64_t> cpus = {};
    std::optional<std::int64_t> memory = {};  ///< Bytes.
    std::optional<std::int64_t> disk = {};    ///< Bytes.
    std::optional<std::int64_t> gpus = {};
    std::optional<std::chrono::seconds> wallTime = {};  ///< From its start; the wrapper sees to it.
    std::string queue = {};  ///< As isSchedulerName(); so is the account, who is charged.
    std::string account = {};
    bool operator==(const Resources&) const = default;
};
/// Whether a queue or account may be called so: letters, digits, `.`, `_`, `@` and `-`, which does
/// not come first; 64 characters at most.
bool isSchedulerName(std::string_view text);
/// Whole MiB, rounded up.
std::int64_t mebibytes(std::int64_t bytes);

/// One attempt to run one job, as a batch system needs to know it.
struct BatchJob {
    SubmissionKey key;
    std::string account;  ///< Unix account; empty = the service's own.
    std::vector<InputFile> inputs;
    std::vector<std::string> outputs;  ///< Names in `out/` that `collect` must bring back.
    /// Secret-free shell text of at most 4 KiB that the batch system runs; `@FOLDER@` stands for
    /// the absolute path of the submission's folder on the node.
    std::string loader;
    WallTime deadline;  ///< Nothing of the job is wanted after this.
    std::string label;  ///< Project, job and user for people; sanitised; no parser reads it.
    Resources resources = {};
};
/// How long it may run from `now` on, in whole minutes, rounded up: what is left until its
/// deadline, at most its wall time.
std::chrono::minutes runTime(const BatchJob& job, WallTime now);

/// Accepted: the key is recorded in the batch system.
struct Accepted {
    RemoteId id;
    WallTime submittedAt;
};
/// Nothing was accepted, for there are too many jobs there: ask again later.
struct Full {
    std::string why;
};
/// Accepted or Full; errors: Permanent = refused, the text goes to the job's log; Transient =
/// certainly not accepted; Uncertain = unknown.
struct Submission {
    std::optional<Accepted> accepted;
    std::optional<Full> full;
};

struct FoundJob {
    SubmissionKey key;
    RemoteId id;
    WallTime submittedAt;
};

struct JobRef {
    SubmissionKey key;
    std::string account;
    RemoteId id;  ///< Empty when it was never learnt: the key alone must do.
    WallTime submittedAt;
};

enum class BatchState { Pending, Running, Held, Ended, Absent, Unknown };

enum class EndCause {
    None,    ///< Not ended.
    Exited,  ///< By itself: exitCode or signal.
    WallTimeLimit,
    MemoryLimit,
    NodeFailure,  ///< Node or its boot lost; the job did not end by itself.
    Preempted,
    RemovedByUs,
    RemovedByOther,
    NeverRunnable,
    Unknown,
};

/// What a job used, as far as its batch system tells.
struct Usage {
    std::optional<Millis> elapsed = {};       ///< From its start to its end.
    std::optional<Millis> cpu = {};           ///< User and system time of all its processes.
    std::optional<std::int64_t> memory = {};  ///< The most at a time, bytes.
    bool operator==(const Usage&) const = default;
};

struct Observation {
    BatchState state = BatchState::Unknown;
    int run = 1;           ///< Grows when the batch system starts the job again.
    bool started = false;  ///< Evidence that the script started.
    EndCause cause = EndCause::None;
    std::optional<int> exitCode;  ///< May be left out for a job that left a status file.
    std::optional<int> signal;
    std::string reason;  ///< The scheduler's, one line; empty = none.
    std::string node;
    std::optional<WallTime> startedAt;
    std::optional<WallTime> endedAt;
    Usage usage = {};  ///< Of one that has ended; may be told later than the end.
    bool operator==(const Observation&) const = default;
};

enum class LogSource {
    Job,    ///< What the job's script prints.
    Batch,  ///< What the batch system itself prints about the job.
};
struct LogRequest {
    JobRef ref;
    int run = 1;
    std::int64_t offset = 0;
    std::size_t limit = 256 * 1024;
    LogSource source = LogSource::Job;
};
struct LogChunk {
    std::string bytes;  ///< From the offset; empty = nothing yet.
    /// The status file's text once it is there; at most 4 KiB + 1, hostile.
    std::optional<std::string> status;
    /// Bytes of the whole log now, whatever the offset. Absent where there is none, and where the
    /// batch system may show an older state of it than before.
    std::optional<std::int64_t> size = {};
};

enum class CancelKind { Soft, Hard };
struct CancelRequest {
    JobRef ref;
    CancelKind kind;
};
enum class CancelOutcome { Requested, AlreadyGone };

enum class CollectOutcome { Done, NotYet, Never };

/// One batch system. Rules, for every method:
/// G1 safe for concurrent use; at most one call per verb at a time; may block until ctx.deadline.
/// G2 vectors have one element per input, in input order; inputs are not empty, hold no
///    duplicates and at most maxBatch items.
/// G3 nothing is thrown except std::bad_alloc.
/// G4 no memory that matters: a new object with the same configuration goes on with the same
///    jobs.
/// G5 no access to GitLab, the store, the real clock, the environment or the working directory.
/// G6 text from outside is bounded and parsed strictly; what cannot be parsed is Unknown.
class Backend {
public:
    virtual ~Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    virtual Capabilities capabilities() const = 0;
    /// Healthy, Transient (down) or Permanent (misconfigured), in a second or two.
    virtual Result<void> probe(const CallContext& ctx) = 0;
    /// A key that is already there returns its id: submitting twice gives one job.
    virtual std::vector<Result<Submission>> submit(const CallContext& ctx,
                                                   std::span<const BatchJob> jobs) = 0;
    /// All jobs of the refs' accounts with one of their keys, whatever their ids, from a complete
    /// look; an error says nothing about any key.
    virtual Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                               std::span<const JobRef> refs) = 0;
    /// An error says nothing about any job. Ended is final until `release`.
    virtual Result<std::vector<Observation>> observe(const CallContext& ctx,
                                                     std::span<const JobRef> refs) = 0;
    /// Bytes once returned never change. Does not wait.
    virtual std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                                   std::span<const LogRequest> requests) = 0;
    /// The end is seen through `observe`. Soft asks the wrapper, Hard kills.
    virtual std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                                      std::span<const CancelRequest> requests) = 0;
    /// Brings the outputs into the submission's folder, where a power failure does not undo it.
    /// Repeatable, whatever was interrupted. Done: all has come that there will ever be. Never:
    /// there was more, and it is lost. With filesByCollect an error for a job that is not known,
    /// for one look does not prove that.
    virtual std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                        std::span<const JobRef> refs) = 0;
    /// Forgets the job and frees what the backend and its folder hold; well for unknown ones.
    /// Permanent for a job that still runs. Where the batch system itself keeps a record of ended
    /// jobs, `observe` and `find` may go on telling of this one.
    virtual std::vector<Result<void>> release(const CallContext& ctx,
                                              std::span<const JobRef> refs) = 0;

protected:
    Backend() = default;
};

/// Where a backend that learns of changes by itself says so: the core then looks at that job
/// without waiting for the next poll. Called from any thread; must not block.
using ChangeListener = std::function<void(const SubmissionKey&)>;

}  // namespace gridbridge
