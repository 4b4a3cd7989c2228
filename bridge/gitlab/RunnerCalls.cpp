#include <Poco/JSON/Object.h>

#include <algorithm>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/JsonFields.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/gitlab/RunnerJson.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

namespace {

using Poco::JSON::Object;

constexpr auto kLastUpdate = "X-GitLab-Last-Update";
constexpr std::size_t kLongestLastUpdate = 128;

Object body(const RunnerIdentity& runner) {
    Object features;
    for (const auto& feature : runner.features) {
        features.set(feature, true);
    }
    auto info = programInfo();
    for (const auto& [key, value] : runner.info) {
        info.set(key, value);
    }
    info.set("executor", runner.executor);
    info.set("features", features);
    Object result;
    result.set("token", runner.token.reveal());
    if (!runner.systemId.empty()) {
        result.set("system_id", runner.systemId);
    }
    result.set("info", info);
    return result;
}

/// The value to remember, or nothing when it cannot be one of GitLab's.
std::string lastUpdateIn(const http::Response& response) {
    auto value = response.header(kLastUpdate);
    const bool usable = value.size() <= kLongestLastUpdate &&
                        std::all_of(value.begin(), value.end(),
                                    [](unsigned char c) { return c > ' ' && c < 0x7f; });
    return usable ? value : std::string();
}

/// Of a 200: valid when it names the runner, or is the bare status of old servers (protocol 1.3).
VerifyAnswer verified(const http::Response& response) {
    if (isBareStatus(response)) {
        return {.outcome = VerifyOutcome::Valid};
    }
    try {
        const auto fields = JsonFields::parse(response.body);
        if (const auto id = fields.number("id", 0); id > 0) {
            return {.outcome = VerifyOutcome::Valid,
                    .runnerId = id,
                    .tokenExpiresAt = tokenExpiresAt(fields)};
        }
    } catch (const UnreadableField&) {
        return {.outcome = VerifyOutcome::NotGitLab};
    }
    return {.outcome = VerifyOutcome::NotGitLab};
}

/// Only GitLab's own 403 and 422 prove a bad token (protocol 1.3).
VerifyOutcome refusal(const http::Response& response) {
    if (isPassing(response.status)) {
        return VerifyOutcome::Unreachable;
    }
    return isRefusal(response) ? VerifyOutcome::Invalid : VerifyOutcome::NotGitLab;
}

ClaimOutcome claimOutcome(const http::Response& response) {
    switch (response.status) {
        case 201:
            return ClaimOutcome::Job;
        case 204:
            return ClaimOutcome::NoJob;
        case 403:
        case 422:
            return isRefusal(response) ? ClaimOutcome::Forbidden : ClaimOutcome::Refused;
        case 409:
            return ClaimOutcome::Conflict;
        default:
            return isPassing(response.status) ? ClaimOutcome::Retry : ClaimOutcome::Refused;
    }
}

}  // namespace

HttpRunnerApi::HttpRunnerApi(http::Transport& transport, const Clock& clock)
    : transport_(transport), clock_(clock) {}

VerifyAnswer HttpRunnerApi::verify(const CallContext& ctx, const RunnerIdentity& runner) {
    const auto request = jsonCall("POST", "/api/v4/runners/verify", body(runner));
    const auto sent = transport_.send(ctx, request);
    if (!sent) {
        const auto& error = sent.error();
        return {.outcome =
                    error.misconfigured ? VerifyOutcome::Misconfigured : VerifyOutcome::Unreachable,
                .message = error.message};
    }
    auto answer = sent->status == 200 ? verified(*sent) : VerifyAnswer{.outcome = refusal(*sent)};
    if (answer.outcome != VerifyOutcome::Valid) {
        answer.message = describe(transport_.baseUrl(), request, *sent, runner.token);
    }
    return answer;
}

ClaimAnswer HttpRunnerApi::requestJob(const CallContext& ctx, const RunnerIdentity& runner,
                                      const std::string& lastUpdate) {
    auto json = body(runner);
    if (!lastUpdate.empty()) {
        json.set("last_update", lastUpdate);
    }
    auto request = jsonCall("POST", "/api/v4/jobs/request", json);
    request.newConnection = true;
    auto sent = transport_.send(ctx, request);
    if (!sent) {
        const auto& error = sent.error();
        return {.outcome = error.kind == ErrorKind::Permanent ? ClaimOutcome::Refused
                                                              : ClaimOutcome::Retry,
                .message = error.message,
                .cutOff = error.kind == ErrorKind::Uncertain};
    }
    auto response = std::move(sent).value();
    ClaimAnswer answer{.outcome = claimOutcome(response)};
    if (answer.outcome == ClaimOutcome::Job) {
        answer.requestId = requestId(request, response);
        answer.body = std::move(response.body);
        return answer;
    }
    if (answer.outcome == ClaimOutcome::NoJob) {
        answer.lastUpdate = lastUpdateIn(response);
        return answer;
    }
    answer.retryAfter = retryAfter(response, clock_.wallNow());
    answer.message = describe(transport_.baseUrl(), request, response, runner.token);
    answer.cutOff = response.status == 504;
    return answer;
}

}  // namespace gridbridge::gitlab
