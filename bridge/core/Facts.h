#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::core {

/// What the reconciler can set going for a job. Each has its intent committed before it starts.
enum class Effect {
    Download,  ///< What the jobs made that it depends on, into its folder.
    Submit,
    Find,
    Mark,  ///< Take the start marker, so that the script can never start.
    CancelSoft,
    CancelHard,
    Look,  ///< Observe and read the log now, without waiting for the poll.
    ReadBatchLog,
    Collect,
    Upload,
    Report,
    Release,
};
inline constexpr std::size_t kEffects = 12;

class EffectSet {
public:
    void add(Effect effect) { bits_.set(static_cast<std::size_t>(effect)); }
    void remove(Effect effect) { bits_.reset(static_cast<std::size_t>(effect)); }
    bool has(Effect effect) const { return bits_.test(static_cast<std::size_t>(effect)); }
    bool empty() const { return bits_.none(); }

private:
    std::bitset<kEffects> bits_;
};

/// What decoding a 201 gave: fields for the row, or why the job cannot run.
struct Decoded {
    std::optional<std::int64_t> gitlabId;  ///< Absent = not even that could be read.
    std::string refusal;                   ///< Not empty = ends here with this line.
    std::string refusalReason;             ///< GitLab's failure reason for it.
    std::string header;                    ///< First lines of the trace.
    std::string account;  ///< Unix account that it runs as; empty = the service's own.
    std::string project, ref, sha, name, stage, user, url;
    std::int64_t timeoutSeconds = 0;
    std::vector<std::string> warnings;
};

/// What the wrapper's status file says.
struct ScriptEnd {
    std::string text;    ///< As stored.
    bool valid = false;  ///< False = it cannot be understood; nothing below counts.
    std::string outcome, why, stage;
    std::optional<int> exitCode;
    std::int64_t logBytes = 0;
    std::map<std::string, std::int64_t> outputs = {};  ///< Bytes of each that the script left.
};

struct LogFact {
    std::string bytes;   ///< From the stored raw offset.
    bool atEnd = true;   ///< Fewer bytes than asked for came back.
    bool early = false;  ///< Read before the files came that `collect` brings: nothing is missing.
    bool cut = false;    ///< It had become shorter than what was read of it: no byte is to follow.
};

/// We end the job ourselves.
struct StopFact {
    std::string reason;  ///< GitLab's failure reason for it.
    std::string why;     ///< One line for its log.
};

enum class Contact { Alive, Canceling, Gone };

/// Files of one job, from GitLab or to it.
enum class TransferOutcome { Done, Failed, Later };
struct TransferFact {
    TransferOutcome outcome = TransferOutcome::Done;
    Millis after{0};                        ///< For Later.
    std::vector<std::string> lines;         ///< Whole trace lines.
    std::string reason = "script_failure";  ///< GitLab's failure reason, for Failed.
    std::string trouble = {};  ///< Why it failed, in one line, when the trace is told so.
};

enum class ReportOutcome { Settled, Later, Unwanted };
struct ReportFact {
    ReportOutcome outcome = ReportOutcome::Later;
    bool canceled = false;  ///< The server records the job as canceled.
    Millis after{0};        ///< For Later.
};

/// Everything that was learnt of one job since its last decision.
struct Facts {
    std::optional<Decoded> decoded;
    std::optional<Contact> contact;
    std::string transferring;  ///< Whole trace lines of a transfer that is under way.
    std::optional<TransferFact> downloaded;
    std::optional<Result<Submission>> submitted;
    std::optional<Result<std::optional<FoundJob>>> found;
    std::optional<Result<bool>> marked;  ///< true = taken, false = some copy has started.
    std::optional<Observation> observed;
    std::optional<ScriptEnd> end;  ///< From the file just read, or from the stored text.
    std::optional<LogFact> log;
    std::int64_t logOffset =
        0;  ///< Where `log` begins; another offset than the stored one is stale.
    std::optional<Result<std::string>> batchLog;  ///< What the batch system printed.
    std::optional<Result<CollectOutcome>> collected;
    std::optional<TransferFact> uploaded;
    std::optional<ReportFact> reported;
    std::optional<Result<void>> released;
    std::optional<StopFact> stop;

    std::optional<std::int64_t> traceOnDisk;    ///< Its size when it is shorter than committed.
    std::optional<std::int64_t> traceInGitLab;  ///< Its size there, once it is known.

    bool duplicate = false;   ///< GitLab gave the job twice; an older row carries it.
    bool unreadable = false;  ///< Its stored description, so that nothing can be said about it.
    bool unmaskable = false;  ///< The same of one that GitLab can be told about: its log is held.
    bool restarted = false;   ///< Nothing is under way: what was asked must be asked again.
    EffectSet inFlight;
    int failures = 0;   ///< Consecutive failed effects, for the back-off.
    Millis failing{0};  ///< For how long they have failed.
    bool backendFull = false;
    bool backendBusy = false;  ///< With submissions: another would only wait in memory.
    bool fetched = false;      ///< `collect` has brought whatever there is of this attempt.
    bool hasUploads = false;   ///< The job declares artifacts.
    bool lacksInputs = false;  ///< Of this attempt: what its dependencies made is not all there.
};

/// Whether it was just learnt that `collect` has brought whatever there is.
inline bool hasCome(const Facts& facts) {
    return facts.collected && facts.collected->ok() && **facts.collected != CollectOutcome::NotYet;
}

/// Constants of a backend and of the protocol that decisions need.
struct Policy {
    Millis poll{10000};
    Capabilities capabilities;
    std::string backendName;
    std::string backendType;
    std::string installation;        ///< For submission keys.
    Millis settleTime{120000};       ///< For log and outputs to reach what the status file states.
    Millis releaseGrace{60000};      ///< For the batch job to clean up after its status file.
    Millis overtime{60000};          ///< Beyond the deadline before we end a running job.
    Millis softCancelLimit{600000};  ///< For script and after_script after a cancel.
    Millis firstBackoff{1000};
    Millis longestBackoff{60000};
    Millis pendingLimit{std::chrono::hours(48)};  ///< From the claim to the start of the script.
    Millis minimumRunTime{0};  ///< A job with less of its timeout left is not started any more.
    int infrastructureRetries = 2;  ///< Submissions beyond the first, before the script started.
    std::optional<std::chrono::seconds> wallTime = {};  ///< Of this job, from its start.
    bool sections = true;
};

}  // namespace gridbridge::core
