#pragma once

#include <memory>
#include <mutex>

#include "backends/api/Backend.h"
#include "backends/simulated/SimulatedCluster.h"

namespace gridbridge {

struct SimulatedConfig {
    std::filesystem::path workDir;  ///< Exists; holds `simulated.db` and the jobs' folders.
    int slots = 1;                  ///< Jobs that run at the same time.
    std::uint64_t seed = 1;
    double faults = 0;  ///< 0 to 1, see SimulatedFaults.
};

/// A batch system that runs nothing: its jobs take their start markers, take their time, print a
/// log and leave a status file, as their workload says. It can be as nasty as the worst real one;
/// the same seed is nasty in the same way again. `folders` and `clock` must outlive it.
class SimulatedBackend final : public Backend {
public:
    /// Throws std::runtime_error when `simulated.db` cannot be used.
    SimulatedBackend(const SimulatedConfig& config, folder::JobFolders& folders, Clock& clock,
                     std::shared_ptr<SimulatedWorkload> workload);

    /// How often each fault has struck, by name, since `simulated.db` was made.
    std::map<std::string, std::int64_t> strikes();
    /// Jobs that were not released, in any state.
    std::vector<SubmissionKey> jobs();

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
    struct Call;

    /// What every call is: no time left, an outage, work under one lock, an answer that may never
    /// come. Gives the error that concerns all of it.
    Result<void> perform(const CallContext& ctx, const char* verb,
                         const std::function<void(Call&)>& work);
    Result<Submission> submitOne(const BatchJob& job, Call& call);
    Observation observeOne(const JobRef& ref, Call& call);
    LogChunk readOne(const LogRequest& request, Call& call);
    Result<void> releaseOne(const JobRef& ref, Call& call);

    folder::JobFolders& folders_;
    Clock& clock_;
    std::shared_ptr<SimulatedWorkload> workload_;
    const int slots_;
    const SimulatedFaults faults_;
    std::mutex mutex_;
    SimulatedTables tables_;
    SimulatedCluster cluster_;
};

}  // namespace gridbridge
