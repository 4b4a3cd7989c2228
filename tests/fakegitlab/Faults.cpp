#include "tests/fakegitlab/Faults.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::array<std::string_view, kFaultKinds> kNames = {"claim-answer-lost",
                                                              "claim-answer-cut",
                                                              "patch-answer-lost",
                                                              "running-answer-lost",
                                                              "final-answer-lost",
                                                              "upload-answer-lost",
                                                              "token-answer-lost",
                                                              "connection-dropped",
                                                              "409",
                                                              "429",
                                                              "500",
                                                              "502",
                                                              "503",
                                                              "400",
                                                              "404",
                                                              "slow-answer",
                                                              "trace-forgotten",
                                                              "504",
                                                              "408",
                                                              "403",
                                                              "sign-in",
                                                              "upload-moved",
                                                              "download-cut"};

bool canHit(FaultKind kind, Call at) {
    switch (kind) {
        case FaultKind::ClaimAnswerLost:
        case FaultKind::ClaimAnswerCut:
            return at == Call::Claim;
        case FaultKind::PatchAnswerLost:
        case FaultKind::TraceForgotten:
            return at == Call::Patch;
        case FaultKind::RunningAnswerLost:
            return at == Call::PutRunning;
        case FaultKind::FinalAnswerLost:
            return at == Call::PutFinal;
        case FaultKind::UploadAnswerLost:
        case FaultKind::UploadMoved:
            return at == Call::Upload;
        case FaultKind::DownloadCut:
            return at == Call::Download;
        case FaultKind::TokenAnswerLost:
            return at == Call::Runners;
        case FaultKind::Conflict:
            return at == Call::Claim || at == Call::PutRunning || at == Call::PutFinal ||
                   at == Call::Patch;
        case FaultKind::ConnectionDropped:
        case FaultKind::TooManyRequests:
        case FaultKind::InternalError:
        case FaultKind::BadGateway:
        case FaultKind::Unavailable:
        case FaultKind::ProxyBadRequest:
        case FaultKind::ProxyNotFound:
        case FaultKind::SlowAnswer:
        case FaultKind::GatewayTimeout:
        case FaultKind::RequestTimeout:
        case FaultKind::ProxyForbidden:
        case FaultKind::ProxySignIn:
            return at != Call::Other;
    }
    return false;
}

/// Uniform in [0, 1) from seed, kind and occasion, so that threads cannot change the sequence of
/// one kind. Finaliser of SplitMix64.
double draw(std::uint64_t seed, std::uint64_t kind, std::uint64_t occasion) {
    std::uint64_t x = seed * 0x9e3779b97f4a7c15U + kind * 0xd1b54a32d192ed03U + occasion;
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    x ^= x >> 31U;
    return static_cast<double>(x >> 11U) * 0x1.0p-53;
}

}  // namespace

std::string_view nameOf(FaultKind kind) {
    return kNames.at(static_cast<std::size_t>(kind));
}

std::optional<FaultKind> faultNamed(std::string_view name) {
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        if (kNames.at(i) == name) {
            return static_cast<FaultKind>(i);
        }
    }
    return std::nullopt;
}

void Faults::setRate(FaultKind kind, double rate, Call at) {
    rules_[{kind, at}].rate = rate;
}

void Faults::failNext(FaultKind kind, int count, Call at) {
    rules_[{kind, at}].forced = count;
}

bool Faults::strikes(FaultKind kind, Call at) {
    if (!canHit(kind, at)) {
        return false;
    }
    const bool everyCall = at != Call::Runners && at != Call::Git;
    if (ruleStrikes(kind, at) || (everyCall && ruleStrikes(kind, Call::Any))) {
        ++counts_.at(static_cast<std::size_t>(kind));
        return true;
    }
    return false;
}

bool Faults::ruleStrikes(FaultKind kind, Call rule) {
    const auto found = rules_.find({kind, rule});
    if (found == rules_.end()) {
        return false;
    }
    if (found->second.forced > 0) {
        --found->second.forced;
        return true;
    }
    const auto occasion = found->second.occasions++;
    return draw(seed_, static_cast<std::uint64_t>(kind), occasion) < found->second.rate;
}

std::map<FaultKind, std::uint64_t> Faults::counts() const {
    std::map<FaultKind, std::uint64_t> result;
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        result[static_cast<FaultKind>(i)] = counts_.at(i);
    }
    return result;
}

}  // namespace gridbridge::fakegitlab
