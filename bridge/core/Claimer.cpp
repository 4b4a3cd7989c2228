#include "bridge/core/Claimer.h"

#include <algorithm>

namespace gridbridge::core {

using gitlab::ClaimOutcome;

namespace {

// Longer than a long poll may be held (protocol 2.2).
constexpr Millis kCallLimit{120000};
constexpr Millis kFullPause{500};
constexpr Millis kStoreRetry{1000};
constexpr Millis kLongestPause{60000};
constexpr std::chrono::minutes kLongestSilence{45};

}  // namespace

void Claimer::run(TokenRotation& rotation, std::stop_token stop) {
    while (!stop.stop_requested()) {
        rotation.step(stop);
        const auto pause = step(stop);
        if (pause.count() > 0 && !clock_.sleepUntil(clock_.steadyNow() + pause, stop)) {
            return;
        }
    }
}

Millis Claimer::step(std::stop_token stop) {
    saveHealth();
    if (const int version = runner_.identity.version(); version != identity_) {
        identity_ = version;
        lastUpdate_.clear();
        failures_ = 0;
        health_.tryAgain();
    }
    if (health_.paused(clock_.steadyNow())) {
        return std::min(kFullPause, interval_.load());
    }
    if (!capacity_.take(runner_.name, runner_.backend)) {
        keepContact(stop);
        return std::min(kFullPause, interval_.load());
    }
    const auto answer = runner_.api.requestJob({clock_.steadyNow() + kCallLimit, stop},
                                               runner_.identity.get(), lastUpdate_);
    contactAt_ = clock_.steadyNow();
    if (answer.outcome != ClaimOutcome::Job) {
        capacity_.giveBack(runner_.name, runner_.backend);
        return stop.stop_requested() ? Millis(0) : handle(answer);
    }
    answered();
    if (const auto row = keep(Secret(answer.body), stop)) {
        answers_.post({*row, 0, [](Facts&, Live&) {}});
    }
    return Millis(0);
}

void Claimer::keepContact(std::stop_token stop) {
    if (clock_.steadyNow() < contactAt_ + kLongestSilence) {
        return;
    }
    const auto answer =
        runner_.api.verify({clock_.steadyNow() + kCallLimit, stop}, runner_.identity.get());
    contactAt_ = clock_.steadyNow();
    if (answer.outcome == gitlab::VerifyOutcome::Unreachable) {
        contactAt_ -= kLongestSilence - kLongestPause;  // Again in a minute.
    }
}

std::optional<JobRow> Claimer::keep(const Secret& body, std::stop_token stop) {
    // A lock or a full disk passes; the claim must not be lost to it.
    for (bool told = false;; told = true) {
        try {
            return store_.receive(runner_.name, runner_.url, runner_.backend, runner_.account,
                                  body);
        } catch (const store::StoreError& e) {
            if (e.kind != store::StoreError::Kind::Busy &&
                e.kind != store::StoreError::Kind::Full) {
                throw;
            }
            if (!told) {
                log_.critical("a claimed job cannot be stored, trying again runner={} error=\"{}\"",
                              runner_.name, e.what());
            }
        }
        if (!clock_.sleepUntil(clock_.steadyNow() + kStoreRetry, stop)) {
            return std::nullopt;
        }
    }
}

Millis Claimer::handle(const gitlab::ClaimAnswer& answer) {
    if (!answer.lastUpdate.empty()) {
        lastUpdate_ = answer.lastUpdate;
    }
    if (answer.outcome == ClaimOutcome::NoJob || answer.outcome == ClaimOutcome::Conflict) {
        answered();
        return interval_.load();
    }
    ++failures_;
    if (answer.outcome == ClaimOutcome::Forbidden) {
        refused(answer.message);
    } else if (outage_.failed(clock_.steadyNow())) {
        log_.warn("claims fail, trying again runner={} error=\"{}\"", runner_.name, answer.message);
    }
    const Millis backoff =
        std::min(kLongestPause, interval_.load() * (1 << std::min(failures_, 6)));
    return answer.retryAfter ? Millis(*answer.retryAfter) : backoff;
}

void Claimer::answered() {
    failures_ = 0;
    if (outage_.worked(clock_.steadyNow())) {
        log_.info("claims work again runner={}", runner_.name);
    }
    if (health_.accepted()) {
        log_.info("runner {} claims jobs again", runner_.name);
        unsaved_ = "ok";
        saveHealth();
    }
}

void Claimer::refused(const std::string& message) {
    if (!health_.refused(clock_.steadyNow())) {
        log_.debug("a claim was refused runner={} error=\"{}\"", runner_.name, message);
        return;
    }
    log_.critical(
        "runner {} claims nothing, {} refuses its claims and is asked once an hour; write a token "
        "that it takes, or have the runner allowed there, and reload the service; open jobs go on "
        "error=\"{}\"",
        runner_.name, runner_.url, message);
    unsaved_ = "claims nothing, GitLab refuses its claims: " + message;
    saveHealth();
}

void Claimer::saveHealth() {
    if (!unsaved_) {
        return;
    }
    try {
        store_.saveHealth(runner_.name, *unsaved_);
        unsaved_.reset();
    } catch (const store::StoreError& e) {
        if (e.kind != store::StoreError::Kind::Busy && e.kind != store::StoreError::Kind::Full) {
            throw;
        }
    }
}

}  // namespace gridbridge::core
