#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace gridbridge::fakegitlab {

/// What can go wrong on purpose. "Lost" = the effect happened, the answer never arrives.
enum class FaultKind {
    ClaimAnswerLost,
    ClaimAnswerCut,  ///< Half of the 201 arrives.
    PatchAnswerLost,
    RunningAnswerLost,
    FinalAnswerLost,
    UploadAnswerLost,
    TokenAnswerLost,    ///< Of the call that makes or renews a runner's token.
    ConnectionDropped,  ///< Before any effect.
    Conflict,           ///< 409 on claim, PUT and PATCH.
    TooManyRequests,    ///< 429 with Retry-After.
    InternalError,      ///< 500
    BadGateway,         ///< 502
    Unavailable,        ///< 503
    ProxyBadRequest,    ///< 400 with a proxy's page.
    ProxyNotFound,      ///< 404 with a proxy's page.
    SlowAnswer,         ///< Effect at once, answer late.
    TraceForgotten,     ///< The server has lost the log when the next PATCH comes.
    GatewayTimeout,     ///< 504
    RequestTimeout,     ///< 408
    ProxyForbidden,     ///< 403 with a proxy's text.
    ProxySignIn,        ///< 200 of a login that lets nothing through.
    UploadMoved,        ///< 307 to where the artifact is taken.
    DownloadCut,        ///< Half of the archive arrives.
};
inline constexpr std::size_t kFaultKinds = 23;

/// The kinds of calls that faults can be aimed at. Any = all of a job's calls and claims.
enum class Call { Any, Claim, PutRunning, PutFinal, Patch, Upload, Download, Runners, Git, Other };

std::string_view nameOf(FaultKind kind);
/// Names as in nameOf(): `claim-answer-lost`, `503`, …
std::optional<FaultKind> faultNamed(std::string_view name);

/// Decides which call fails, repeatably for a seed, and counts. One thread at a time.
class Faults {
public:
    void seed(std::uint64_t seed) { seed_ = seed; }
    /// From now on `kind` fires at `rate` (0 to 1) of the calls it can hit. Faults reach the
    /// runners API and git only when `at` names them.
    void setRate(FaultKind kind, double rate, Call at = Call::Any);
    /// The next `count` calls that `kind` can hit fail, whatever the rate.
    void failNext(FaultKind kind, int count, Call at = Call::Any);
    /// One occasion for `kind` at a call of kind `at`: true = it strikes, and is counted.
    bool strikes(FaultKind kind, Call at);
    /// How often each kind struck; kinds that never did are there with 0.
    std::map<FaultKind, std::uint64_t> counts() const;

private:
    struct Rule {
        double rate = 0;
        int forced = 0;
        std::uint64_t occasions = 0;
    };
    bool ruleStrikes(FaultKind kind, Call rule);

    std::uint64_t seed_ = 1;
    std::map<std::pair<FaultKind, Call>, Rule> rules_;
    std::array<std::uint64_t, kFaultKinds> counts_{};
};

}  // namespace gridbridge::fakegitlab
