#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backends/api/Backend.h"
#include "backends/simulated/SimulatedFaults.h"
#include "backends/simulated/SimulatedWork.h"

namespace gridbridge {

enum class SimulatedState {
    Pending,
    Running,
    Ended,
    Lost,  ///< Forgotten by the batch system; only its folder is still there.
};

/// One job as the simulated batch system knows it.
struct SimulatedJob {
    std::int64_t place = 0;  ///< In the queue: the order of submission.
    SubmissionKey key;
    std::string account;
    std::int64_t id = 0;
    WallTime submittedAt;
    WallTime deadline;
    SimulatedState state = SimulatedState::Pending;
    int run = 1;
    WallTime readyAt;                        ///< It may start from then on.
    std::optional<WallTime> startedAt = {};  ///< Of the present run.
    std::optional<WallTime> scriptAt = {};   ///< When its script took the start marker.
    std::optional<WallTime> endedAt = {};
    std::optional<std::int64_t> printed = {};  ///< Bytes; nothing more is printed.
    bool removed = false;                      ///< Ended by a cancel.
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    bool nodeFailed = false;                   ///< Ended with its node.
    std::optional<WallTime> lateAt = {};       ///< When a copy starts on that node all the same.
    std::optional<SimulatedEnd> verdict = {};  ///< It left a status file that says so.
    bool operator==(const SimulatedJob&) const = default;
};

/// What the simulated batch system remembers: `<work_dir>/simulated.db`. It outlives the service,
/// also its kill, but not a power failure. One thread at a time.
class SimulatedTables {
public:
    using Jobs = std::map<SubmissionKey, SimulatedJob>;

    /// Throws std::runtime_error when the file cannot be used.
    explicit SimulatedTables(const std::filesystem::path& workDir);
    ~SimulatedTables();
    SimulatedTables(const SimulatedTables&) = delete;
    SimulatedTables& operator=(const SimulatedTables&) = delete;

    /// Loads all jobs, lets `action` change them, and stores what it changed, whole or not at all.
    /// What `action` throws comes through; so do errors of the database.
    void change(const std::function<void(Jobs&)>& action);
    /// Within `change`: how often this was asked for `verb` before.
    std::int64_t nextCall(const std::string& verb);
    /// Within `change`: never the same again.
    std::int64_t nextPlace() { return nextCall("place") + 1; }
    /// Within `change`.
    void count(SimulatedFault fault, int strikes = 1);
    /// How often each kind has struck; kinds that never did are absent.
    std::map<std::string, std::int64_t> strikes();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge
