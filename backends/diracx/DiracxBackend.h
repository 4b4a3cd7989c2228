#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/diracx/DiracBackend.h"
#include "backends/diracx/DiracTokens.h"
#include "backends/diracx/DiracxClient.h"

namespace gridbridge {

/// Jobs of a grid that DIRAC schedules, by the REST interface of DiracX.
class DiracxBackend final : public DiracBackend {
public:
    /// As all backends are made. `folders`, `runner` and `clock` must outlive it. Throws
    /// std::invalid_argument where `config` has no usable url.
    DiracxBackend(const DiracxConfig& config, const std::string& runAs, folder::JobFolders& folders,
                  ProcessRunner& runner, Clock& clock, Teller tell);
    /// With `transport` to the DiracX.
    DiracxBackend(const DiracxConfig& config, std::unique_ptr<http::Transport> transport,
                  folder::JobFolders& folders, ProcessRunner& runner, Clock& clock, Teller tell);

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override;

private:
    Result<DiracxFound> search(const CallContext& ctx, const DiracxQuery& query) override;
    Result<std::map<std::int64_t, std::string>> killThese(
        const CallContext& ctx, std::span<const DiracxKill> kills) override;
    bool historyTellsWhoKilled() const override { return true; }
    const char* loginKey() const override { return "credentials"; }
    Result<std::string> giveWrapper(const CallContext& ctx) override;
    Result<std::vector<std::string>> giveFiles(const CallContext& ctx, const BatchJob& job,
                                               std::vector<SandboxFile> files) override;
    std::vector<Result<std::int64_t>> hand(const CallContext& ctx, const DiracOwner& owner,
                                           std::span<const Described> jobs) override;
    std::vector<Result<bool>> fetch(const CallContext& ctx,
                                    std::span<const EndedJob> jobs) override;
    std::int64_t mostPacked() const override { return kDiracxMostPacked; }

    Result<std::int64_t> handAlone(const CallContext& ctx, const DiracOwner& owner,
                                   const Described& job);
    Result<bool> fetchOne(const CallContext& ctx, const EndedJob& job);
    Result<void> unpack(const CallContext& ctx, const JobRef& ref, const std::string& sandbox);

    std::unique_ptr<http::Transport> transport_;
    DiracTokens tokens_;
    DiracxClient client_;
};

}  // namespace gridbridge
