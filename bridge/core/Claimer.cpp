#include "bridge/core/Claimer.h"

#include <algorithm>
#include <utility>

namespace gridbridge::core {

using gitlab::ClaimOutcome;

namespace {

// Longer than a long poll may be held (protocol 2.2).
constexpr Millis kCallLimit{120000};
/// GitLab answers a question that it does not hold within this; a held one never brings a job
/// (protocol 2.2), so that the end of the service loses none by cutting it off.
constexpr Millis kAnswerTime{5000};
/// An empty answer that took so long was held: the queue has changed, or the time was over.
constexpr Millis kHeld{1000};
/// After so long a broken question was a held one that a proxy gave up (protocol 9.11).
constexpr Millis kSurelyHeld{10000};
constexpr Millis kFullPause{500};
constexpr Millis kStoreRetry{1000};
/// A service that is told to end still tries for so long to store a job that it was given.
constexpr Millis kLastTries{60000};
constexpr Millis kLongestPause{60000};
constexpr std::chrono::minutes kLongestSilence{45};
/// A commit for each question would be one in three seconds for nothing.
constexpr std::chrono::minutes kContactPrecision{1};

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

/// A new token may be well where the one before was not.
void Claimer::heedToken() {
    if (const int version = runner_.identity.version(); version != identity_) {
        identity_ = version;
        lastUpdate_.clear();
        failures_ = 0;
        health_.tryAgain();
    }
}

Millis Claimer::step(std::stop_token stop) {
    saveHealth();
    saveContact();
    heedToken();
    if (health_.paused(clock_.steadyNow())) {
        return std::min(kFullPause, interval_.load());
    }
    const auto place = capacity_.take(runner_.name, runner_.backend);
    if (place == Capacity::Place::None) {
        keepContact(stop);
        return std::min(kFullPause, interval_.load());
    }
    if (!canStore()) {
        capacity_.giveBack(runner_.name, runner_.backend);
        keepContact(stop);
        return std::max(kStoreRetry, interval_.load());
    }
    // Without a value GitLab does not hold the question: other runners wait for the last place.
    const auto known = place == Capacity::Place::Last ? std::string() : lastUpdate_;
    const auto now = clock_.steadyNow();
    const auto answer = runner_.api.requestJob({now + kCallLimit, stop, now + kAnswerTime},
                                               runner_.identity.get(), known);
    contactAt_ = clock_.steadyNow();
    if (answer.outcome != ClaimOutcome::Job) {
        capacity_.giveBack(runner_.name, runner_.backend);
        return stop.stop_requested()
                   ? Millis(0)
                   : handle(answer, known.empty() ? std::nullopt : std::optional(now));
    }
    answered();
    if (const auto row = keep(answer, stop)) {
        log_.info("GitLab gave a job={} runner={} (request {})",
                  store::jobKey(store_.installation(), *row), runner_.name, answer.requestId);
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
    if (answer.outcome == gitlab::VerifyOutcome::Unreachable ||
        answer.outcome == gitlab::VerifyOutcome::Misconfigured) {
        contactAt_ -= kLongestSilence - kLongestPause;  // Again in a minute.
    }
    heard(answer);
}

void Claimer::heard(const gitlab::VerifyAnswer& answer) {
    if (answer.outcome != gitlab::VerifyOutcome::Valid) {
        return;
    }
    if (answer.runnerId > 0) {
        gitlabId_ = answer.runnerId;
        contactSavedAt_.reset();
    }
    heard();
}

void Claimer::heard() {
    heardAt_ = clock_.wallNow();
    saveContact();
}

/// The core learns of a lock when it has something to store; who has nothing to do would claim a
/// job that nobody can keep.
bool Claimer::canStore() {
    try {
        store_.checkLock();
    } catch (const store::StoreError& e) {
        if (!e.passes()) {
            throw;
        }
        if (lock_.failed(clock_.steadyNow())) {
            log_.error("nothing is claimed while nothing can be stored runner={} error=\"{}\"",
                       runner_.name, e.what());
        }
        return false;
    }
    if (lock_.worked(clock_.steadyNow())) {
        log_.info("what is claimed can be stored again runner={}", runner_.name);
    }
    return true;
}

std::optional<JobRow> Claimer::keep(const gitlab::ClaimAnswer& answer, std::stop_token stop) {
    const Secret body(answer.body);
    std::optional<SteadyTime> end;
    // A lock or a full disk passes; the claim must not be lost to it.
    for (bool told = false;; told = true) {
        try {
            return store_.receive(runner_.name, runner_.url, runner_.backend, body);
        } catch (const store::StoreError& e) {
            if (!e.passes()) {
                throw;
            }
            const auto now = clock_.steadyNow();
            if (end && now >= *end) {
                log_.critical(
                    "a claimed job is lost, it could not be stored before the service ends; GitLab "
                    "fails it when it has not heard of it for half an hour runner={} (request {}) "
                    "error=\"{}\"",
                    runner_.name, answer.requestId, e.what());
                return std::nullopt;
            }
            if (!told) {
                log_.critical("a claimed job cannot be stored, trying again runner={} error=\"{}\"",
                              runner_.name, e.what());
            }
        }
        const auto again = clock_.steadyNow() + kStoreRetry;
        if (end) {
            clock_.sleepUntil(again, {});
        } else if (!clock_.sleepUntil(again, stop)) {
            end = clock_.steadyNow() + kLastTries;
        }
    }
}

Millis Claimer::handle(const gitlab::ClaimAnswer& answer, std::optional<SteadyTime> asked) {
    const auto took = asked ? contactAt_ - *asked : SteadyTime::duration{};
    if (!answer.lastUpdate.empty()) {
        lastUpdate_ = answer.lastUpdate;
    }
    if (answer.outcome == ClaimOutcome::NoJob || answer.outcome == ClaimOutcome::Conflict) {
        answered();
        const bool held = took >= kHeld && answer.lastUpdate.empty();
        return held ? Millis(0) : interval_.load();
    }
    if (answer.cutOff && took >= kSurelyHeld && took < kCallLimit) {
        if (!std::exchange(toldCutOff_, true)) {
            log_.warn(
                "a proxy gives up questions that GitLab holds, let it wait over 60 s "
                "runner={} error=\"{}\"",
                runner_.name, answer.message);
        }
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
    heard();
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

template <typename Action>
bool Claimer::saved(Action action) {
    try {
        action();
        return true;
    } catch (const store::StoreError& e) {
        if (!e.passes()) {
            throw;
        }
        return false;
    }
}

void Claimer::saveHealth() {
    if (unsaved_ && saved([this] { store_.saveHealth(runner_.name, *unsaved_); })) {
        unsaved_.reset();
    }
}

void Claimer::saveContact() {
    const auto now = clock_.steadyNow();
    if (heardAt_ && (!contactSavedAt_ || now >= *contactSavedAt_ + kContactPrecision) &&
        saved([this] { store_.saveContact(runner_.name, *heardAt_, gitlabId_); })) {
        heardAt_.reset();
        gitlabId_.reset();
        contactSavedAt_ = now;
    }
}

}  // namespace gridbridge::core
