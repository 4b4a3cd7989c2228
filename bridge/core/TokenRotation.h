#pragma once

#include <spdlog/logger.h>

#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "bridge/base/Clock.h"
#include "bridge/core/World.h"
#include "bridge/gitlab/TokenApi.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::core {

/// What is known of a token's life.
struct TokenLife {
    WallTime obtainedAt;
    bool known = false;  ///< GitLab has said when it ends, or that it does not.
    std::optional<WallTime> expiresAt = {};
    bool unanswered = false;  ///< A renewal may have happened: its answer is not there.
};

enum class TokenStep { Nothing, Ask, Renew };

/// What is to be done for a token: renewed at three quarters of its life, as the official runner
/// does (protocol 1.4).
TokenStep tokenStep(const TokenLife& life, WallTime now);

/// Renews a runner's token before it ends. GitLab's old token dies with the renewal, so that the
/// intent is stored first, and the new token before it is used; after a lost answer GitLab is asked
/// whether the old one still lives. A token that only that answer held is lost for good: an alarm
/// then names the cure. Jobs have tokens of their own and go on. One thread at a time.
class TokenRotation {
public:
    /// Gives `runner` the token that the store has for the one that is `configured`, if any. All
    /// references must outlive it. Throws StoreError.
    TokenRotation(Clock& clock, store::JobStore& store, RunnerEntry& runner, gitlab::TokenApi& api,
                  spdlog::logger& log, Secret configured);

    /// The configuration was read again and has this token, perhaps the same: it is in use from the
    /// next step on. Safe for concurrent use.
    void configure(Secret token) {
        const std::lock_guard lock(mutex_);
        given_ = std::move(token);
    }

    /// A renewal may have happened: its answer is not there.
    bool unanswered() const { return token_.askedAt.has_value(); }

    /// Takes what a verification of the runner's token has said.
    void learn(const gitlab::VerifyAnswer& answer);

    /// Does what is due. Blocks for at most half a minute, while a renewal is under way even when
    /// `stop` is requested, and for longer only while the database cannot take a new token.
    void step(std::stop_token stop);

private:
    void reconfigure();
    void ask(std::stop_token stop);
    void take(const gitlab::VerifyAnswer& answer);
    void renew(std::stop_token stop);
    void keep(const gitlab::TokenAnswer& answer);
    /// A database that is locked or full passes: what it could not take is done later.
    template <typename Action>
    void tolerant(Action action);
    void save() { store_.saveRunnerToken(runner_.name, configured_, token_); }
    void again(Millis later) { next_ = clock_.steadyNow() + later; }

    Clock& clock_;
    store::JobStore& store_;
    RunnerEntry& runner_;
    gitlab::TokenApi& api_;
    spdlog::logger& log_;
    Secret configured_;
    std::mutex mutex_;
    std::optional<Secret> given_;  ///< Under the mutex.
    store::RunnerToken token_;
    bool known_ = false;
    std::optional<WallTime> expiresAt_;
    SteadyTime next_ = {};
};

}  // namespace gridbridge::core
