#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/gitlab/TokenApi.h"
#include "bridge/http/Transport.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

/// The way to a runner's GitLab. `clock` must outlive it. Throws std::invalid_argument, without
/// any secret, when the configured address or certificates cannot be used.
std::unique_ptr<http::Transport> transportTo(const RunnerConfig& runner, const Clock& clock);

/// `info.features`: exactly what works with this runner today (protocol 2.3).
std::vector<std::string> features(const RunnerConfig& runner);

/// How this installation names itself to GitLab beside others with the same runner token: the
/// same for all its runners and over restarts (protocol 1.6).
std::string systemId(const store::Installation& installation);

/// How commands reach a runner's GitLab. Every call blocks for at most half a minute; nothing is
/// thrown.
class GitLabAccess {
public:
    virtual ~GitLabAccess() = default;
    /// Asks whether GitLab knows the token. `systemId`: empty while there is no database.
    virtual gitlab::VerifyAnswer verify(const RunnerConfig& runner,
                                        const std::string& systemId) = 0;
    /// The proxy on the way, with the variable that names it and without its password; empty =
    /// none.
    virtual std::string proxyTo(const RunnerConfig& runner) = 0;
    /// Makes a runner; `runner.token` is the registration token.
    virtual gitlab::TokenAnswer registerRunner(const RunnerConfig& runner,
                                               const gitlab::NewRunner& made) = 0;
    /// Removes the manager of a `glrt-` token; a runner of any other token goes whole.
    virtual gitlab::TokenAnswer unregister(const RunnerConfig& runner,
                                           const std::string& systemId) = 0;
};

/// GitLabAccess over HTTP. `clock` must outlive it.
class HttpGitLabAccess final : public GitLabAccess {
public:
    explicit HttpGitLabAccess(const Clock& clock) : clock_(clock) {}
    gitlab::VerifyAnswer verify(const RunnerConfig& runner, const std::string& systemId) override;
    std::string proxyTo(const RunnerConfig& runner) override;
    gitlab::TokenAnswer registerRunner(const RunnerConfig& runner,
                                       const gitlab::NewRunner& made) override;
    gitlab::TokenAnswer unregister(const RunnerConfig& runner,
                                   const std::string& systemId) override;

private:
    CallContext context() const;
    const Clock& clock_;
};

/// Created by a user, who keeps it in GitLab; all others came from a registration token.
bool isAuthenticationToken(const Secret& token);

}  // namespace gridbridge::app
