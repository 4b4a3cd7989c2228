#pragma once

#include "backends/diraccli/DiracCommands.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {

/// A classic sandbox store takes no larger one, packed.
inline constexpr std::int64_t kDiracCliMostPacked = std::int64_t{10} << 20;

/// Jobs of a grid that DIRAC schedules, by the commands of a classic installation: one process for
/// all states, and one more for what cannot be told from these alone.
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
    Result<std::string> giveWrapper(const CallContext& ctx) override;
    Result<std::vector<std::string>> giveFiles(const CallContext& ctx, const BatchJob& job,
                                               std::vector<SandboxFile> files) override;
    std::vector<Result<std::int64_t>> hand(const CallContext& ctx, const DiracOwner& owner,
                                           std::span<const Described> jobs) override;
    std::vector<Result<bool>> fetch(const CallContext& ctx,
                                    std::span<const EndedJob> jobs) override;
    std::int64_t mostPacked() const override { return kDiracCliMostPacked; }

    static DiracOwner ownerOf(const DiracProxy& proxy) { return {proxy.user, proxy.group}; }
    /// All that `dstat` tells with these arguments.
    Result<std::vector<DiracxJob>> list(const CallContext& ctx, const DiracProxy& proxy,
                                        const DiracScratch& scratch,
                                        const std::vector<std::string>& which);
    Result<void> addHistories(const CallContext& ctx, const DiracProxy& proxy,
                              const DiracScratch& scratch, std::span<DiracxJob* const> jobs);
    std::vector<Result<std::int64_t>> handAs(const CallContext& ctx, const DiracProxy& proxy,
                                             std::span<const Described> jobs);
    Result<std::int64_t> outcomeOf(const Described& job, const std::string& message) const;
    Result<Finished> getOutputs(const CallContext& ctx, const DiracScratch& scratch,
                                std::span<const EndedJob> jobs, const std::string& into);
    Result<bool> take(const CallContext& ctx, const EndedJob& job, const Finished& said,
                      const std::filesystem::path& from);

    DiracCommands commands_;
    const std::filesystem::path workDir_;
};

}  // namespace gridbridge
