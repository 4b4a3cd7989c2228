#include "backends/diracx/DiracTokens.h"

#include <Poco/URI.h>

#include <algorithm>
#include <utility>

#include "bridge/base/CrashPoint.h"

namespace gridbridge {

namespace {

constexpr const char* kPath = "/api/auth/token";
constexpr const char* kClient = "myDIRACClientID";  ///< Of every public client; it has no secret.
constexpr Millis kAnswerTime{20'000};
constexpr std::int64_t kLongestAnswer = std::int64_t{64} << 10U;
constexpr Millis kPause{50};
constexpr Millis kBackOff{10'000};
/// Once more after an answer was lost: if DiracX took the first, it takes back every refresh token
/// of the user at the second, and the new one is lost anyway; after that nothing is to be gained.
constexpr int kMostSent = 2;

std::string loginAt(const std::filesystem::path& file, const http::Transport& transport) {
    return "umask 077; DIRACX_URL=" + transport.baseUrl() +
           " DIRACX_CREDENTIALS_PATH=" + file.string() + " dirac login VO --group GROUP";
}

std::string formOf(const DiracCredential& credential) {
    std::string token;
    Poco::URI::encode(credential.refresh.reveal(), "!#$%&'()*+,/:;=?@[]", token);
    return "grant_type=refresh_token&refresh_token=" + token + "&client_id=" + kClient;
}

/// What DiracX says is JSON; a page comes from another server, which knows no refresh token.
bool isForeign(const std::string& body) {
    const auto begin = body.find_first_not_of(" \t\r\n");
    return begin != std::string::npos && body[begin] != '{';
}

bool passes(int status) {
    return status == 408 || status == 429 || status >= 500;
}

}  // namespace

DiracTokens::DiracTokens(const std::filesystem::path& file, http::Transport& transport,
                         Clock& clock)
    : file_(file, loginAt(file, transport)), transport_(transport), clock_(clock) {}

Result<Secret> DiracTokens::access(const CallContext& ctx) {
    return obtain(ctx, Secret());
}

Result<Secret> DiracTokens::renew(const CallContext& ctx, const Secret& refused) {
    return obtain(ctx, refused);
}

Result<Secret> DiracTokens::obtain(const CallContext& ctx, const Secret& refused) {
    for (;;) {
        auto token = attempt(ctx, refused);
        if (!token) {
            return token.error();
        }
        if (token->has_value()) {
            return **std::move(token);
        }
        if (const auto seen = seenLast(); seen && usable(*seen, refused)) {
            return seen->access;
        }
        const auto now = clock_.steadyNow();
        if (now >= ctx.deadline ||
            !clock_.sleepUntil(std::min(now + kPause, ctx.deadline), ctx.stop)) {
            return outOfTime();
        }
    }
}

Result<std::optional<Secret>> DiracTokens::attempt(const CallContext& ctx, const Secret& refused) {
    using Lock = DiracCredentialFile::Lock;
    {
        const auto read = file_.open(Lock::Shared);
        if (!read) {
            return read.error();
        }
        if (!*read) {
            return std::optional<Secret>();
        }
        see((*read)->credential);
        if (suffices((*read)->credential, refused)) {
            return std::optional((*read)->credential.access);
        }
    }
    auto opened = file_.open(Lock::Exclusive);
    if (!opened) {
        return opened.error();
    }
    if (!*opened) {
        return std::optional<Secret>();
    }
    auto held = *std::move(opened).value();
    Result<void> done;
    if (!suffices(held.credential, refused)) {  // Another may have refreshed it meanwhile.
        done = refresh(ctx, held);
    }
    see(held.credential);
    if (done || usable(held.credential, refused)) {
        return std::optional(held.credential.access);
    }
    return done.error();
}

bool DiracTokens::usable(const DiracCredential& credential, const Secret& refused) const {
    return clock_.wallNow() < credential.expiresOn && credential.access != refused;
}

bool DiracTokens::suffices(const DiracCredential& credential, const Secret& refused) const {
    if (!usable(credential, refused)) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    const bool later = failure_ && clock_.steadyNow() < failure_->until;
    const bool stored = !unstored_ || unstored_->after != credential.refresh;
    // The second time is kept for when there is no other way.
    return clock_.wallNow() < credential.refreshAt || later ||
           (credential.refreshesSent > 0 && stored);
}

Result<void> DiracTokens::refresh(const CallContext& ctx, Opened& opened) {
    const auto before = opened.credential;
    if (const auto given = unstoredAfter(before.refresh)) {
        return store(opened, before, *given);
    }
    if (before.refresh.empty()) {
        return file_.loginNeeded("holds no refresh token, and its access token does not hold");
    }
    if (before.refreshesSent >= kMostSent) {
        return file_.loginNeeded("holds a refresh token that is used up or has ended");
    }
    if (const auto failure = failedJustNow()) {
        return *failure;
    }
    if (clock_.steadyNow() >= ctx.deadline || ctx.stop.stop_requested()) {
        return outOfTime();
    }
    if (before.rotates()) {
        auto begun = before;
        ++begun.refreshesSent;
        if (auto written = file_.replace(opened, begun); !written) {
            return written;
        }
    }
    crashPoint("refresh-begun");
    const auto asked = clock_.wallNow();
    auto answer = ask(ctx, before);
    crashPoint("refresh-answered");
    auto taken = answer ? take(opened, before, asked, *answer)
                        : Result<void>(unanswered(opened, before, answer.error()));
    if (!taken) {
        const std::lock_guard lock(mutex_);
        failure_ = {clock_.steadyNow() + kBackOff, taken.error()};
    }
    return taken;
}

Result<http::Response> DiracTokens::ask(const CallContext& ctx, const DiracCredential& credential) {
    const auto patience = clock_.steadyNow() + kAnswerTime;
    std::string body;
    auto answer =
        transport_.send({std::max(ctx.deadline, patience), ctx.stop, patience},
                        {.method = "POST",
                         .path = kPath,
                         .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                                     {"Accept", "application/json"}},
                         .body = formOf(credential),
                         .newConnection = true,
                         .sink = http::BodySink{[&body](std::string_view bytes) {
                                                    body += bytes;
                                                    return true;
                                                },
                                                kLongestAnswer}});
    if (answer && answer->status / 100 == 2) {
        auto whole = std::move(answer).value();
        whole.body = std::move(body);
        return whole;
    }
    return answer;
}

Result<void> DiracTokens::take(Opened& opened, const DiracCredential& before, WallTime asked,
                               const http::Response& answer) {
    const auto said =
        "POST " + transport_.baseUrl() + kPath + " answered " + std::to_string(answer.status);
    if (passes(answer.status)) {
        return unchanged(opened, before, transientError(said));
    }
    const bool success = answer.status / 100 == 2;
    if (success && !isForeign(answer.body)) {
        const auto next = before.refreshed(answer.body, asked);
        return next ? store(opened, before, *next)
                    : lost(opened, before, said + " without whole tokens");
    }
    if ((answer.status == 400 || answer.status == 401) && isJsonObject(answer.body)) {
        auto refused = before;
        refused.refreshesSent = kMostSent;
        // If this fails, the mark of the begun refresh still allows only one more.
        static_cast<void>(file_.replace(opened, refused));
        return file_.loginNeeded("holds a refresh token that DiracX refuses (" +
                                 std::to_string(answer.status) + ")");
    }
    auto error = transientError(said + (success ? " with a page that is no JSON" : "") +
                                ": the backend's `url` is not that of a DiracX");
    error.misconfigured = true;
    return unchanged(opened, before, std::move(error));
}

Result<void> DiracTokens::store(Opened& opened, const DiracCredential& before,
                                const DiracCredential& next) {
    auto stored = file_.replace(opened, next);
    const std::lock_guard lock(mutex_);
    unstored_ = stored ? std::nullopt : std::optional(Unstored{before.refresh, next});
    return stored;
}

Error DiracTokens::unanswered(Opened& opened, const DiracCredential& before,
                              const Error& error) const {
    // Misconfigured is what the other side refused before it looked at the request.
    return error.kind == ErrorKind::Transient || error.misconfigured
               ? unchanged(opened, before, error)
               : lost(opened, before, error.message);
}

Error DiracTokens::unchanged(Opened& opened, const DiracCredential& before, Error error) const {
    if (opened.credential.refreshesSent != before.refreshesSent) {
        // If this fails, the refresh counts as lost.
        static_cast<void>(file_.replace(opened, before));
    }
    error.kind = ErrorKind::Transient;  // Nothing has happened to a job.
    return error;
}

Error DiracTokens::lost(const Opened& opened, const DiracCredential& before,
                        const std::string& why) const {
    if (before.rotates() && opened.credential.refreshesSent >= kMostSent) {
        return file_.loginNeeded(
            "holds a refresh token that is used up, its refresh was lost twice (" + why + ")");
    }
    return transientError("the refresh of the DiracX token was lost, and is tried once more: " +
                          why);
}

Error DiracTokens::outOfTime() const {
    return transientError("no DiracX token could be had in the time allowed");
}

void DiracTokens::see(const DiracCredential& credential) {
    const std::lock_guard lock(mutex_);
    seen_ = credential;
}

std::optional<DiracCredential> DiracTokens::seenLast() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

std::optional<DiracCredential> DiracTokens::unstoredAfter(const Secret& refresh) const {
    const std::lock_guard lock(mutex_);
    return unstored_ && unstored_->after == refresh ? std::optional(unstored_->credential)
                                                    : std::nullopt;
}

std::optional<Error> DiracTokens::failedJustNow() const {
    const std::lock_guard lock(mutex_);
    return failure_ && clock_.steadyNow() < failure_->until ? std::optional(failure_->error)
                                                            : std::nullopt;
}

}  // namespace gridbridge
