#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Secret.h"

namespace gridbridge::http {
class Transport;
}

namespace gridbridge::gitlab {

/// What GitLab keeps of a runner that is made with a registration token (protocol 1.1); a runner
/// with a `glrt-` token got all of it where it was created.
struct NewRunner {
    std::string description = {};
    std::string maintenanceNote = {};  ///< At most 1024 characters.
    std::vector<std::string> tags = {};
    std::string accessLevel = {};  ///< `not_protected` or `ref_protected`; empty = GitLab's choice.
    bool paused = false;
    bool locked = false;
    bool runUntagged = true;                                  ///< Without tags it must be true.
    std::optional<std::chrono::seconds> maximumTimeout = {};  ///< At least 600 s.
};

enum class TokenOutcome {
    Done,
    Forbidden,      ///< 403: GitLab does not know the token.
    NotFound,       ///< GitLab's own 404: it knows no such manager.
    Refused,        ///< Any other answer, redirects included: repeating cannot help.
    Retry,          ///< Certainly without effect; the same call may be repeated.
    Misconfigured,  ///< Certainly without effect; a person must change certificate, proxy, url.
    Uncertain,      ///< No whole answer came, or a server's error: the effect may have happened.
};
struct TokenAnswer {
    TokenOutcome outcome = TokenOutcome::Retry;
    std::int64_t runnerId = 0;  ///< 0 = the server did not say.
    Secret token = {};          ///< The new one, when a Done call gives one.
    std::optional<WallTime> expiresAt = {};
    std::string message = {};  ///< One line without secrets: why, when not Done.
};

/// The calls about a runner itself and its token (protocol 1.1, 1.4, 1.5). Stateless; safe for
/// concurrent use; no call is repeated inside. Nothing is thrown.
class TokenApi {
public:
    virtual ~TokenApi() = default;
    /// Makes a runner. Done gives its authentication token, which GitLab shows only once.
    virtual TokenAnswer registerRunner(const CallContext& ctx, const Secret& registrationToken,
                                       const NewRunner& runner) = 0;
    /// Renews a runner's own token. Done gives the new one; the old one is dead then.
    virtual TokenAnswer resetToken(const CallContext& ctx, const Secret& token) = 0;
    /// Removes one manager; the runner and its token stay.
    virtual TokenAnswer removeManager(const CallContext& ctx, const Secret& token,
                                      const std::string& systemId) = 0;
    /// Removes the runner with all its managers.
    virtual TokenAnswer removeRunner(const CallContext& ctx, const Secret& token) = 0;
};

/// TokenApi over HTTP. `transport` must outlive it.
class HttpTokenApi final : public TokenApi {
public:
    explicit HttpTokenApi(http::Transport& transport) : transport_(transport) {}
    TokenAnswer registerRunner(const CallContext& ctx, const Secret& registrationToken,
                               const NewRunner& runner) override;
    TokenAnswer resetToken(const CallContext& ctx, const Secret& token) override;
    TokenAnswer removeManager(const CallContext& ctx, const Secret& token,
                              const std::string& systemId) override;
    TokenAnswer removeRunner(const CallContext& ctx, const Secret& token) override;

private:
    http::Transport& transport_;
};

}  // namespace gridbridge::gitlab
