#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/api/SchedulerBackend.h"
#include "backends/api/SharedFolder.h"
#include "backends/command/CommandParse.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// Jobs of any batch system whose nodes see the work folder, by commands of the configuration. A
/// job is known by its key, its name there; that it has ended, by its status file or by what the
/// batch system knows of a job that its list does not show any more.
class CommandBackend final : public SchedulerBackend {
public:
    /// `runAs`: the Unix account whose jobs they are, empty = the service's own. Throws
    /// std::invalid_argument for a pattern that is none. `folders`, `runner` and `clock` must
    /// outlive it.
    CommandBackend(CommandConfig config, std::string runAs, folder::JobFolders& folders,
                   ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override;

private:
    Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) override;
    Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>& keys,
                                  const CallContext& ctx) override;
    std::vector<Result<void>> remove(const Place& place, const std::vector<JobRef>& jobs,
                                     bool onlyWaiting, const CallContext& ctx) override;
    Result<CommandListing> queue(const std::string& account, const CallContext& ctx);
    Result<Submission> submitOne(const BatchJob& job, const CallContext& ctx);
    /// Of a job that is listed, or whose id is in its folder.
    std::optional<Accepted> accepted(const SubmissionKey& key, const std::string& account,
                                     const SchedulerQueue& queue);
    Observation look(const JobRef& ref, const CommandListing& listing, const FolderMarks& marks,
                     const CallContext& ctx);
    Observation resultOf(const JobRef& ref, const CallContext& ctx);

    const CommandConfig config_;
    const CommandParser parser_;
};

}  // namespace gridbridge
