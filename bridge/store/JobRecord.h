#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"

namespace gridbridge::store {

/// Life of a job; the database holds the lower-case names. docs/job-lifecycle.md explains them.
enum class State {
    Received,    ///< The raw 201 is stored, nothing else is known.
    Claimed,     ///< Decoded; waits for the backend.
    Submitting,  ///< The intent to submit is stored; the outcome is not known yet.
    Queued,
    Running,
    Collecting,  ///< The batch job's verdict is known; outputs are brought in and uploaded.
    Reporting,   ///< The trace is complete; the report is being settled and the batch job freed.
    Done,
};
enum class Outcome { None, Success, Failed, Canceled, Dropped };
enum class Cancel { None, Soft, Hard };
enum class TraceState { Open, Limited, Complete };

std::string_view nameOf(State state);
std::string_view nameOf(Outcome outcome);  ///< None is the empty text, NULL in the database.
std::string_view nameOf(Cancel cancel);
std::string_view nameOf(TraceState state);
std::optional<State> stateNamed(std::string_view name);

/// One attempt to run the job; row of table `submission`.
struct SubmissionRecord {
    int attempt = 0;  ///< 0 = there was none yet.
    SubmissionKey key = {};
    RemoteId id = {};                          ///< Empty until accepted.
    std::optional<WallTime> submittedAt = {};  ///< By the batch system's word.
    int run = 1;
    std::string batchState = {};  ///< pending, running, held, ended, absent, unknown.
    std::string reason = {};      ///< The scheduler's last one.
    std::string node = {};
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> endedAt = {};  ///< When the batch job was seen to have ended.
    std::string cause = {};                ///< Why it ended, e.g. `exited`, `node_failure`.
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    std::string status = {};                     ///< Text of the status file; empty = none seen.
    std::optional<WallTime> statusAt = {};       ///< When the status file was first seen.
    std::optional<WallTime> absentSince = {};    ///< First of the looks that did not find it.
    std::optional<WallTime> cancelAt = {};       ///< When a cancel was first asked for.
    std::optional<std::int64_t> elapsedMs = {};  ///< What it used, by the batch system's word.
    std::optional<std::int64_t> cpuMs = {};
    std::optional<std::int64_t> memoryBytes = {};  ///< The most at a time.
    std::optional<WallTime> releasedAt = {};       ///< Proven gone, folder freed.
    bool operator==(const SubmissionRecord&) const = default;
};

/// Everything stored of one job but its secrets; row of table `job` with its last submission.
struct JobRecord {
    JobRow row{};
    std::string runner = {};  ///< Name in the configuration.
    std::string serverUrl = {};
    std::optional<std::int64_t> gitlabId = {};  ///< Absent while undecoded.
    std::string project = {};
    std::string ref = {};
    std::string sha = {};
    std::string name = {};
    std::string stage = {};
    std::string user = {};
    std::string url = {};
    std::string backend = {};
    std::string account = {};

    State state = State::Received;
    Outcome outcome = Outcome::None;
    std::string failureReason = {};
    std::optional<int> exitCode = {};
    Cancel cancel = Cancel::None;
    std::string stopCause = {};  ///< Why we stop it ourselves, one line; empty = we do not.

    WallTime claimedAt = {};
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> endedAt = {};
    std::optional<WallTime> reportedAt = {};  ///< The report is settled.
    std::int64_t timeoutSeconds = 0;
    std::optional<WallTime> deadline = {};
    std::optional<WallTime> dueAt = {};  ///< When it must be looked at without any news.

    std::int64_t traceLength = 0;
    std::int64_t traceLost = 0;  ///< Bytes that the disk lost, with the power for instance.
    TraceState traceState = TraceState::Open;
    std::int64_t rawOffset = 0;
    std::string maskMode = "plain";

    SubmissionRecord submission = {};

    bool operator==(const JobRecord&) const = default;
};

}  // namespace gridbridge::store
