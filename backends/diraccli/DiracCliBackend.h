#pragma once

#include <mutex>
#include <set>

#include "backends/diraccli/DiracCommands.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {

/// A classic sandbox store takes no larger one, packed.
inline constexpr std::int64_t kDiracCliMostPacked = std::int64_t{10} << 20;

/// Jobs of a grid that DIRAC schedules, by the commands of a classic installation: one process for
/// all states, and some more for what cannot be told from these alone.
class DiracCliBackend final : public DiracBackend {
public:
    /// As all backends are made. `folders`, `runner` and `clock` must outlive it.
    DiracCliBackend(const DiracCliConfig& config, const std::string& runAs,
                    folder::JobFolders& folders, ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;

private:
    Result<DiracxFound> search(const CallContext& ctx, const DiracxQuery& query) override;
    Result<std::map<std::int64_t, std::string>> killThese(
        const CallContext& ctx, std::span<const DiracxKill> kills) override;
    bool historyTellsWhoKilled() const override { return false; }
    std::optional<Result<DiracOwner>> login() override;
    const char* loginKey() const override { return "proxy"; }
    Result<std::string> giveWrapper(const CallContext& ctx) override;
    Result<std::vector<std::string>> giveFiles(const CallContext& ctx, const BatchJob& job,
                                               std::vector<SandboxFile> files) override;
    std::vector<Result<std::int64_t>> hand(const CallContext& ctx, const DiracOwner& owner,
                                           std::span<const Described> jobs) override;
    std::vector<Result<bool>> fetch(const CallContext& ctx,
                                    std::span<const EndedJob> jobs) override;
    std::int64_t mostPacked() const override { return kDiracCliMostPacked; }

    static DiracOwner ownerOf(const DiracProxy& proxy) { return {proxy.user, proxy.group}; }
    /// What `dstat` tells with these arguments.
    Result<std::vector<DiracxJob>> list(const CallContext& ctx, const DiracSession& session,
                                        const std::vector<std::string>& which);
    Result<void> listIds(const CallContext& ctx, const DiracSession& session,
                         std::span<const std::int64_t> ids, DiracxFound& found);
    /// Of those that `dstat` lacks, the ones that are there all the same.
    Result<void> addHidden(const CallContext& ctx, const DiracSession& session,
                           std::span<const std::int64_t> ids, DiracxFound& found);
    Result<void> listNames(const CallContext& ctx, const DiracSession& session,
                           const DiracxQuery& query, DiracxFound& found);
    /// Of as many as there is time for; others have none.
    void addHistories(const CallContext& ctx, const DiracSession& session,
                      std::span<DiracxJob* const> jobs);
    /// Whether all is told of these.
    bool addGroup(const CallContext& ctx, const DiracSession& session,
                  std::span<DiracxJob* const> jobs);
    std::vector<Result<std::int64_t>> handAs(const CallContext& ctx, const DiracSession& session,
                                             std::span<const Described> jobs);
    Result<std::int64_t> outcomeOf(const Described& job, const std::string& message) const;

    /// Those that have not failed in groups of `most`, then each that has alone.
    std::vector<std::vector<std::size_t>> groupsOf(std::span<const std::int64_t> ids,
                                                   const std::set<std::int64_t>& failed,
                                                   std::size_t most);
    void note(std::set<std::int64_t>& failed, std::int64_t id, bool hasFailed);
    /// The time of one of so many parts that are left.
    CallContext partOf(const CallContext& ctx, std::size_t left);
    void fetchGroup(const CallContext& ctx, const DiracSession& session,
                    std::span<const EndedJob> jobs, const std::vector<std::size_t>& which,
                    std::vector<Result<bool>>& results);
    Result<bool> take(const CallContext& ctx, const EndedJob& job, const Finished& said,
                      const std::filesystem::path& from);

    static constexpr std::size_t kMostOutputs = 8;  ///< That one command is to fetch.

    DiracCommands commands_;
    std::mutex mutex_;
    std::set<std::int64_t> failedHistories_;  ///< Jobs with which a command failed.
    std::set<std::int64_t> failedOutputs_;
};

}  // namespace gridbridge
