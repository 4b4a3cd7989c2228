#include <Poco/JSON/Object.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <sys/utsname.h>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/JsonFields.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

namespace {

using Poco::JSON::Object;

constexpr auto kLastUpdate = "X-GitLab-Last-Update";
constexpr std::size_t kLongestLastUpdate = 128;

struct Machine {
    std::string platform = "unknown";
    std::string architecture = "unknown";
};

/// The machine in the words that GitLab's pages use.
Machine thisMachine() {
    struct utsname name {};
    if (::uname(&name) != 0) {
        return {};
    }
    Machine result{.platform = name.sysname, .architecture = name.machine};
    std::transform(result.platform.begin(), result.platform.end(), result.platform.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (result.architecture == "x86_64") {
        result.architecture = "amd64";
    } else if (result.architecture == "aarch64") {
        result.architecture = "arm64";
    }
    return result;
}

Object body(const RunnerIdentity& runner) {
    Object features;
    for (const auto& feature : runner.features) {
        features.set(feature, true);
    }
    const auto machine = thisMachine();
    Object info;
    info.set("name", "gridbridge");
    info.set("version", GRIDBRIDGE_VERSION);
    info.set("platform", machine.platform);
    info.set("architecture", machine.architecture);
    info.set("executor", runner.executor);
    info.set("features", features);
    Object result;
    result.set("token", runner.token.reveal());
    result.set("system_id", runner.systemId);
    result.set("info", info);
    return result;
}

http::Request post(const char* path, const Object& json) {
    std::ostringstream text;
    json.stringify(text);
    return {.method = "POST",
            .path = path,
            .headers = {{"Content-Type", "application/json"},
                        {"Accept", "application/json"},
                        {"X-Request-Id", newRequestId()}},
            .body = text.str()};
}

/// The value to remember, or nothing when it cannot be one of GitLab's.
std::string lastUpdateIn(const http::Response& response) {
    auto value = response.header(kLastUpdate);
    const bool usable = value.size() <= kLongestLastUpdate &&
                        std::all_of(value.begin(), value.end(),
                                    [](unsigned char c) { return c > ' ' && c < 0x7f; });
    return usable ? value : std::string();
}

std::int64_t runnerIdIn(const http::Response& response) {
    try {
        return JsonFields::parse(response.body).number("id", 0);
    } catch (const UnreadableField&) {
        return 0;  // Old servers answer with plain text.
    }
}

ClaimOutcome claimOutcome(int status) {
    switch (status) {
        case 201:
            return ClaimOutcome::Job;
        case 204:
            return ClaimOutcome::NoJob;
        case 403:
        case 422:
            return ClaimOutcome::Forbidden;
        case 409:
            return ClaimOutcome::Conflict;
        default:
            return isPassing(status) ? ClaimOutcome::Retry : ClaimOutcome::Refused;
    }
}

}  // namespace

std::string userAgent() {
    const auto machine = thisMachine();
    return std::string("gridbridge ") + GRIDBRIDGE_VERSION + " (" + machine.platform + "/" +
           machine.architecture + ")";
}

HttpRunnerApi::HttpRunnerApi(http::Transport& transport, const Clock& clock)
    : transport_(transport), clock_(clock) {}

VerifyAnswer HttpRunnerApi::verify(const CallContext& ctx, const RunnerIdentity& runner) {
    const auto request = post("/api/v4/runners/verify", body(runner));
    const auto sent = transport_.send(ctx, request);
    if (!sent) {
        return {.message = sent.error().message};
    }
    if (sent->status == 200 && !isWebPage(*sent)) {
        return {.outcome = VerifyOutcome::Valid, .runnerId = runnerIdIn(*sent)};
    }
    // Only these prove a bad token (protocol 1.3); a proxy's page does not.
    const bool refused = (sent->status == 403 || sent->status == 422) && !isWebPage(*sent);
    return {.outcome = refused ? VerifyOutcome::Invalid : VerifyOutcome::Unreachable,
            .message = describe(request, *sent, runner.token)};
}

ClaimAnswer HttpRunnerApi::requestJob(const CallContext& ctx, const RunnerIdentity& runner,
                                      const std::string& lastUpdate) {
    auto json = body(runner);
    if (!lastUpdate.empty()) {
        json.set("last_update", lastUpdate);
    }
    auto request = post("/api/v4/jobs/request", json);
    request.newConnection = true;
    auto sent = transport_.send(ctx, request);
    if (!sent) {
        const auto& error = sent.error();
        return {.outcome = error.kind == ErrorKind::Permanent ? ClaimOutcome::Refused
                                                              : ClaimOutcome::Retry,
                .message = error.message};
    }
    auto response = std::move(sent).value();
    ClaimAnswer answer{.outcome = claimOutcome(response.status)};
    if (answer.outcome == ClaimOutcome::Job) {
        answer.body = std::move(response.body);
        return answer;
    }
    if (answer.outcome == ClaimOutcome::NoJob) {
        answer.lastUpdate = lastUpdateIn(response);
        return answer;
    }
    if (isWebPage(response) && answer.outcome == ClaimOutcome::Forbidden) {
        answer.outcome = ClaimOutcome::Refused;
    }
    answer.retryAfter = retryAfter(response, clock_.wallNow());
    answer.message = describe(request, response, runner.token);
    return answer;
}

}  // namespace gridbridge::gitlab
