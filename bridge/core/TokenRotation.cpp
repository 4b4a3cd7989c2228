#include "bridge/core/TokenRotation.h"

#include <utility>

#include "bridge/base/CrashPoint.h"

namespace gridbridge::core {

using gitlab::TokenOutcome;
using gitlab::VerifyOutcome;

namespace {

constexpr Millis kCallLimit{30000};
constexpr Millis kStoreRetry{1000};
constexpr Millis kSoon{60000};
constexpr Millis kLater{3600000};

}  // namespace

TokenStep tokenStep(const TokenLife& life, WallTime now) {
    if (life.unanswered || !life.known) {
        return TokenStep::Ask;
    }
    const bool due =
        life.expiresAt && now >= life.obtainedAt + (*life.expiresAt - life.obtainedAt) / 4 * 3;
    return due ? TokenStep::Renew : TokenStep::Nothing;
}

TokenRotation::TokenRotation(Clock& clock, store::JobStore& store, RunnerEntry& runner,
                             gitlab::TokenApi& api, spdlog::logger& log, Secret configured)
    : clock_(clock),
      store_(store),
      runner_(runner),
      api_(api),
      log_(log),
      configured_(std::move(configured)),
      token_(store.runnerToken(runner.name, configured_)
                 .value_or(store::RunnerToken{configured_, clock.wallNow()})) {
    runner_.identity.renew(token_.token);
}

void TokenRotation::learn(const gitlab::VerifyAnswer& answer) {
    tolerant([&] { take(answer); });
}

void TokenRotation::reconfigure() {
    std::optional<Secret> token;
    {
        const std::lock_guard lock(mutex_);
        token = given_;
    }
    if (!token) {
        return;
    }
    tolerant([&] {
        if (*token != configured_) {
            token_ = store_.runnerToken(runner_.name, *token)
                         .value_or(store::RunnerToken{*token, clock_.wallNow()});
            configured_ = *token;
            expiresAt_.reset();
        }
        known_ = false;
        next_ = {};
        runner_.identity.renew(token_.token);
        const std::lock_guard lock(mutex_);
        if (given_ == token) {
            given_.reset();
        }
    });
}

void TokenRotation::step(std::stop_token stop) {
    reconfigure();
    if (clock_.steadyNow() < next_) {
        return;
    }
    const TokenLife life{token_.obtainedAt, known_, expiresAt_, token_.askedAt.has_value()};
    switch (tokenStep(life, clock_.wallNow())) {
        case TokenStep::Nothing:
            return;
        case TokenStep::Ask:
            ask(stop);
            return;
        case TokenStep::Renew:
            tolerant([&] { renew(stop); });
            return;
    }
}

void TokenRotation::ask(std::stop_token stop) {
    learn(runner_.api.verify({clock_.steadyNow() + kCallLimit, stop}, runner_.identity.get()));
}

void TokenRotation::take(const gitlab::VerifyAnswer& answer) {
    if (answer.outcome == VerifyOutcome::Invalid) {
        again(kLater);
        if (token_.askedAt) {
            log_.critical(
                "the answer to the renewal of the token of runner {} was lost, and "
                "GitLab refuses the old one: reset the runner's token in GitLab and "
                "write the new one into the configuration; its open jobs go on",
                runner_.name);
        }
        return;
    }
    if (answer.outcome != VerifyOutcome::Valid) {
        again(kSoon);
        return;
    }
    known_ = true;
    expiresAt_ = answer.tokenExpiresAt;
    const bool answered = token_.askedAt.has_value();
    token_.askedAt.reset();
    if (expiresAt_ || answered) {
        save();
    }
}

void TokenRotation::renew(std::stop_token stop) {
    again(kSoon);
    token_.askedAt = clock_.wallNow();
    save();
    crashPoint("token-asked");
    // Not stopped with the service: the answer is the only copy of the new token.
    const auto answer =
        api_.resetToken({clock_.steadyNow() + kCallLimit}, runner_.identity.get().token);
    crashPoint("token-answered");
    if (answer.outcome == TokenOutcome::Done) {
        keep(answer);
        return;
    }
    log_.warn("the token of runner {} could not be renewed error=\"{}\"", runner_.name,
              answer.message);
    if (answer.outcome == TokenOutcome::Uncertain) {
        ask(stop);
        return;
    }
    token_.askedAt.reset();
    const bool passes =
        answer.outcome == TokenOutcome::Retry || answer.outcome == TokenOutcome::Misconfigured;
    again(passes ? kSoon : kLater);
    save();
}

void TokenRotation::keep(const gitlab::TokenAnswer& answer) {
    token_ = {answer.token, clock_.wallNow()};
    expiresAt_ = answer.expiresAt;
    for (bool stored = false; !stored;) {
        tolerant([&] {
            save();
            stored = true;
        });
        if (!stored) {
            clock_.sleepUntil(clock_.steadyNow() + kStoreRetry, {});
        }
    }
    crashPoint("token-stored");
    runner_.identity.renew(token_.token);
    next_ = {};
    log_.info("the token of runner {} is renewed", runner_.name);
}

template <typename Action>
void TokenRotation::tolerant(Action action) {
    try {
        action();
    } catch (const store::StoreError& e) {
        if (!e.passes()) {
            throw;
        }
        again(kSoon);
        log_.critical("the token of runner {} cannot be stored, trying again error=\"{}\"",
                      runner_.name, e.what());
    }
}

}  // namespace gridbridge::core
