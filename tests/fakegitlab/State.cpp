#include "tests/fakegitlab/State.h"

#include <algorithm>
#include <random>

namespace gridbridge::fakegitlab {

namespace {

/// Every request asks for the timers; with 10,000 jobs they must not run for each.
constexpr auto kReapEvery = Millis(50);
constexpr Seconds kShortestToken{60};
constexpr auto kTokenReserve = std::chrono::minutes(5);
constexpr auto kTouchAfter = std::chrono::minutes(15);
constexpr auto kOnlineWindow = std::chrono::hours(2);
constexpr auto kPendingWithoutRunner = std::chrono::hours(1);
constexpr auto kPendingWithRunner = std::chrono::hours(24);
constexpr auto kLastUpdateLife = std::chrono::minutes(60);
/// GitLab stores a manager's features again after a random 40 to 55 minutes.
constexpr auto kFeaturesLife = std::chrono::minutes(45);

/// Base64 as in a JWT: URL alphabet, no padding.
std::string base64Url(const std::string& bytes) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string result;
    std::uint32_t held = 0;
    int bits = 0;
    for (const char c : bytes) {
        held = (held << 8U) | static_cast<unsigned char>(c);
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            result += kAlphabet[(held >> bits) & 63U];
        }
    }
    if (bits > 0) {
        result += kAlphabet[(held << (6 - bits)) & 63U];
    }
    return result;
}

std::string seconds(Millis time) {
    return std::to_string(std::chrono::floor<Seconds>(time).count()) + " s";
}

}  // namespace

State::State(Clock& serverClock, Options serverOptions)
    : options(std::move(serverOptions)),
      clock(serverClock),
      random_(options.seed ? *options.seed : std::random_device{}()) {}

RunnerState& State::addRunner(RunnerSpec spec) {
    RunnerState made;
    made.id = nextRunner_++;
    made.spec = std::move(spec);
    newUpdateValue(made);
    const auto token = made.spec.token;
    return runners_.insert_or_assign(token, std::move(made)).first->second;
}

RunnerState* State::runner(const std::string& token) {
    const auto found = runners_.find(token);
    if (found == runners_.end()) {
        return nullptr;
    }
    const auto& expiry = found->second.spec.expiresAt;
    return expiry && *expiry <= now() ? nullptr : &found->second;
}

void State::removeRunner(const std::string& token) {
    runners_.erase(token);
}

void State::setPaused(const std::string& token, bool paused) {
    const auto found = runners_.find(token);
    if (found != runners_.end()) {
        found->second.spec.paused = paused;
        newUpdateValue(found->second);
    }
}

void State::meetManager(RunnerState& owner, const std::string& systemId,
                        const std::optional<std::set<std::string>>& features) {
    const auto at = now();
    const auto [entry, isNew] =
        owner.managers.try_emplace(systemId.empty() ? "<legacy>" : systemId);
    auto& manager = entry->second;
    if (isNew || at - manager.storedAt >= kFeaturesLife) {
        manager.features = features.value_or(std::set<std::string>{});
        manager.storedAt = at;
    }
    manager.contact = at;
    owner.contact = at;
    if (at - owner.lastUpdateAt >= kLastUpdateLife) {
        newUpdateValue(owner);
    }
}

JobState& State::addJob(JobSpec spec, GitPoint git, std::int64_t projectId) {
    JobState made;
    made.id = nextJob_++;
    made.spec = std::move(spec);
    made.git = std::move(git);
    made.projectId = projectId;
    const auto id = made.id;
    auto& job = jobs_.emplace(id, std::move(made)).first->second;
    const bool staged = std::find(stages_.begin(), stages_.end(), job.spec.stage) != stages_.end();
    staged ? openStages() : open(job);
    return job;
}

JobState* State::job(JobId id) {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : &found->second;
}

JobState* State::jobOfToken(const std::string& token) {
    const auto found = tokens_.find(token);
    return found == tokens_.end() ? nullptr : job(found->second);
}

bool State::isExecuting(const JobState& job) {
    return job.gone.empty() && (job.status == Status::Running || job.status == Status::Canceling);
}

void State::start(JobState& job, const RunnerState& owner, const std::string& systemId) {
    const auto at = now();
    const auto limit = owner.spec.maximumTimeout;
    pending_.erase(job.id);
    job.status = Status::Running;
    job.timeout = limit.count() > 0 ? std::min(limit, job.spec.timeout) : job.spec.timeout;
    job.claimedAt = job.updatedAt = job.lastContact = at;
    job.runnerToken = owner.spec.token;
    job.systemId = systemId.empty() ? "<legacy>" : systemId;
    if (job.spec.token == TokenForm::Jwt) {
        job.tokenEnd = at + std::max(job.timeout, kShortestToken) + kTokenReserve;
    }
    job.token = newJobToken(job);
    tokens_[job.token] = job.id;
}

std::string State::newJobToken(const JobState& job) {
    if (job.spec.token == TokenForm::Opaque) {
        return "glcbt-64_" + random_.name(20);
    }
    const auto second = [](WallTime time) {
        return std::to_string(std::chrono::floor<Seconds>(sinceEpoch(time)).count());
    };
    const auto header = R"({"kid":")" + newHex(40) + R"(","typ":"JWT","alg":"RS256"})";
    const auto claims = R"({"version":"0.1.0","iss":"gitlab","jti":")" + newHex(32) +
                        R"(","iat":)" + second(*job.claimedAt) + R"(,"nbf":)" +
                        second(*job.claimedAt) + R"(,"exp":)" + second(*job.tokenEnd) +
                        R"(,"sub":"gid://gitlab/Ci::Build/)" + std::to_string(job.id) + "\"}";
    return "glcbt-" + base64Url(header) + "." + base64Url(claims) + "." +
           base64Url(random_.name(256));
}

void State::setStages(std::vector<std::string> stages) {
    stages_ = std::move(stages);
    openStages();
}

void State::openStages() {
    const auto stageOf = [this](const JobState& job) {
        return std::find(stages_.begin(), stages_.end(), job.spec.stage) - stages_.begin();
    };
    if (stages_.empty()) {
        return;
    }
    auto current = std::ssize(stages_);
    for (const auto& [id, job] : jobs_) {
        if (!isEnded(job.status) && job.gone.empty()) {
            current = std::min(current, stageOf(job));
        }
    }
    for (auto& [id, job] : jobs_) {
        if (job.status == Status::Created && stageOf(job) <= current) {
            open(job);
        }
    }
}

void State::open(JobState& job) {
    job.status = Status::Pending;
    job.pendingAt = now();
    pending_.insert(job.id);
    for (auto& [token, owner] : runners_) {
        if (matches(owner, job)) {
            newUpdateValue(owner);
        }
    }
}

bool State::matches(const RunnerState& owner, const JobState& job) {
    if (job.spec.tags.empty()) {
        return owner.spec.runUntagged;
    }
    return std::all_of(job.spec.tags.begin(), job.spec.tags.end(), [&](const auto& tag) {
        return std::find(owner.spec.tags.begin(), owner.spec.tags.end(), tag) !=
               owner.spec.tags.end();
    });
}

void State::newUpdateValue(RunnerState& owner) {
    owner.lastUpdate = newHex(32);
    owner.lastUpdateAt = now();
}

bool State::declaresGracefulCancel(const JobState& job) {
    const auto owner = runners_.find(job.runnerToken);
    if (owner == runners_.end()) {
        return false;
    }
    const auto manager = owner->second.managers.find(job.systemId);
    return manager != owner->second.managers.end() &&
           manager->second.features.count("cancel_gracefully") > 0;
}

void State::cancel(JobState& job) {
    if (job.status == Status::Running && declaresGracefulCancel(job)) {
        job.status = Status::Canceling;
        job.updatedAt = now();
        event("job " + std::to_string(job.id) + " " + job.spec.name + ": canceling");
    } else if (job.status != Status::Canceling) {
        forceCancel(job);
    }
}

void State::forceCancel(JobState& job) {
    if (!isEnded(job.status)) {
        finish(job, Status::Canceled, "");
    }
}

void State::eraseJob(JobState& job, const std::string& message) {
    job.gone = message;
    pending_.erase(job.id);
    job.trace.clear();
    job.artifacts.clear();
    event("job " + std::to_string(job.id) + " " + job.spec.name + ": " + message);
    openStages();
}

void State::finish(JobState& job, Status status, const std::string& reason) {
    pending_.erase(job.id);
    job.status = status;
    job.failureReason = status == Status::Failed ? reason : "";
    job.endedAt = now();
    job.pendingFinal.reset();
    event("job " + std::to_string(job.id) + " " + job.spec.name + ": " +
          std::string(nameOf(status)) + (job.failureReason.empty() ? "" : " " + reason));
    openStages();
}

void State::reap() {
    const auto at = now();
    lastReap_ = at;
    for (auto& [id, job] : jobs_) {
        if (!job.gone.empty()) {
            continue;
        }
        if (job.status == Status::Pending) {
            reapPending(job, at);
        } else if (job.status == Status::Running || job.status == Status::Canceling) {
            reapActive(job, at);
        }
    }
}

void State::reapNowAndThen() {
    if (now() - lastReap_ >= kReapEvery) {
        reap();
    }
}

void State::reapPending(JobState& job, WallTime at) {
    const bool online = std::any_of(runners_.begin(), runners_.end(), [&](const auto& entry) {
        return matches(entry.second, job) && entry.second.contact &&
               at - *entry.second.contact < kOnlineWindow;
    });
    if (at - job.pendingAt >= kPendingWithRunner) {
        finish(job, Status::Failed, "stuck_pending_with_matching_runners");
    } else if (!online && at - job.pendingAt >= kPendingWithoutRunner) {
        finish(job, Status::Failed, "stuck_pending_no_matching_runners");
    }
}

void State::reapActive(JobState& job, WallTime at) {
    checkSilence(job, at);
    const bool canceling = job.status == Status::Canceling;
    if (at - job.updatedAt >= options.noUpdatesAfter) {
        finish(job, canceling ? Status::Canceled : Status::Failed, "no_updates_running");
        return;
    }
    if (at - *job.claimedAt >= job.timeout + options.timeoutReserve) {
        finish(job, canceling ? Status::Canceled : Status::Failed, "server_timeout_running");
        return;
    }
    if (!canceling && job.spec.cancelAfter && at - *job.claimedAt >= *job.spec.cancelAfter) {
        job.spec.cancelAfter.reset();
        job.spec.cancelByForce ? forceCancel(job) : cancel(job);
    }
}

void State::cancelIfTraceSaysSo(JobState& job) {
    if (job.spec.cancelWhen.empty() || job.status != Status::Running ||
        job.trace.find(job.spec.cancelWhen) == std::string::npos) {
        return;
    }
    job.spec.cancelWhen.clear();
    job.spec.cancelByForce ? forceCancel(job) : cancel(job);
}

void State::contact(JobState& job) {
    const auto at = now();
    checkSilence(job, at);
    job.lastContact = at;
    job.silenceReported = false;
    const auto owner = runners_.find(job.runnerToken);
    if (owner != runners_.end()) {
        owner->second.contact = at;
        const auto manager = owner->second.managers.find(job.systemId);
        if (manager != owner->second.managers.end()) {
            manager->second.contact = at;
        }
    }
}

void State::checkSilence(JobState& job, WallTime at) {
    if (job.toldEnd || isEnded(job.status)) {
        return;
    }
    const Millis silence = at - job.lastContact;
    job.maxSilence = std::max(job.maxSilence, silence);
    // A claim that never reached anybody is not a client's silence.
    if (job.acknowledged && !job.silenceReported && options.heartbeatLimit.count() > 0 &&
        silence > options.heartbeatLimit) {
        job.silenceReported = true;
        violate(job, "no contact for " + seconds(silence) + ", the limit is " +
                         seconds(options.heartbeatLimit));
    }
}

void State::touch(JobState& job) {
    if (now() - job.updatedAt > kTouchAfter) {
        job.updatedAt = now();
    }
}

void State::violate(const std::string& sentence) {
    violations.push_back(sentence);
    event("VIOLATION " + sentence);
}

void State::violate(const JobState& job, const std::string& sentence) {
    violate("job " + std::to_string(job.id) + " (" + job.spec.name + "): " + sentence);
}

void State::event(const std::string& line) const {
    if (options.onEvent) {
        options.onEvent(line);
    }
}

std::string State::newHex(std::size_t length) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string result;
    for (std::size_t i = 0; i < length; ++i) {
        result += kDigits[static_cast<std::size_t>(random_.unit() * 16)];
    }
    return result;
}

}  // namespace gridbridge::fakegitlab
