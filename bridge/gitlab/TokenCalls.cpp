#include <Poco/JSON/Object.h>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/RunnerJson.h"
#include "bridge/gitlab/TokenApi.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

namespace {

using Poco::JSON::Object;

/// Sorts what is not the wanted success. A proxy's error says nothing of the effect behind it.
TokenOutcome outcomeOf(const http::Response& response) {
    if (isWebPage(response)) {
        return response.status >= 500 ? TokenOutcome::Uncertain : TokenOutcome::Refused;
    }
    switch (response.status) {
        case 403:
            return isRefusal(response) ? TokenOutcome::Forbidden : TokenOutcome::Refused;
        case 409:
        case 425:
        case 429:
            return TokenOutcome::Retry;
        default:
            return isPassing(response.status) ? TokenOutcome::Uncertain : TokenOutcome::Refused;
    }
}

TokenOutcome outcomeOf(const Error& error) {
    switch (error.kind) {
        case ErrorKind::Transient:
            return error.misconfigured ? TokenOutcome::Misconfigured : TokenOutcome::Retry;
        case ErrorKind::Uncertain:
            return TokenOutcome::Uncertain;
        case ErrorKind::Permanent:
            break;
    }
    return TokenOutcome::Refused;
}

TokenAnswer perform(http::Transport& transport, const CallContext& ctx, http::Request request,
                    const Secret& secret, int success, std::optional<http::Response>* response) {
    // A kept connection that dies under way would leave the effect unknown.
    request.newConnection = true;
    auto sent = transport.send(ctx, request);
    if (!sent) {
        const auto& error = sent.error();
        return {.outcome = outcomeOf(error), .message = error.message};
    }
    const bool done = sent->status == success && !isWebPage(*sent);
    TokenAnswer answer{.outcome = done ? TokenOutcome::Done : outcomeOf(*sent)};
    if (!done) {
        answer.message = describe(transport.baseUrl(), request, *sent, secret);
    }
    if (response != nullptr) {
        *response = std::move(sent).value();
    }
    return answer;
}

/// Reads what a 201 of a call that makes a token holds.
TokenAnswer withToken(TokenAnswer answer, const http::Response& response) {
    try {
        const auto fields = JsonFields::parse(response.body);
        answer.runnerId = fields.number("id", 0);
        answer.token = Secret(fields.text("token"));
        answer.expiresAt = tokenExpiresAt(fields);
    } catch (const UnreadableField&) {
        answer.token = {};
    }
    if (answer.token.empty()) {
        answer.outcome = TokenOutcome::Uncertain;
        answer.message = "the server made a token, and its answer cannot be read";
    }
    return answer;
}

TokenAnswer made(http::Transport& transport, const CallContext& ctx, http::Request request,
                 const Secret& secret) {
    std::optional<http::Response> response;
    auto answer = perform(transport, ctx, std::move(request), secret, 201, &response);
    return answer.outcome == TokenOutcome::Done ? withToken(std::move(answer), *response) : answer;
}

Object bodyWith(const Secret& token) {
    Object json;
    json.set("token", token.reveal());
    return json;
}

}  // namespace

TokenAnswer HttpTokenApi::registerRunner(const CallContext& ctx, const Secret& registrationToken,
                                         const NewRunner& runner) {
    auto json = bodyWith(registrationToken);
    json.set("info", programInfo());
    const auto set = [&json](const char* key, const std::string& value) {
        if (!value.empty()) {
            json.set(key, value);
        }
    };
    set("description", runner.description);
    set("maintenance_note", runner.maintenanceNote);
    set("access_level", runner.accessLevel);
    std::string tags;
    for (const auto& tag : runner.tags) {
        tags += (tags.empty() ? "" : ",") + tag;
    }
    set("tag_list", tags);
    json.set("paused", runner.paused);
    json.set("locked", runner.locked);
    json.set("run_untagged", runner.runUntagged);
    if (runner.maximumTimeout) {
        json.set("maximum_timeout", std::int64_t{runner.maximumTimeout->count()});
    }
    return made(transport_, ctx, jsonCall("POST", "/api/v4/runners", json), registrationToken);
}

TokenAnswer HttpTokenApi::resetToken(const CallContext& ctx, const Secret& token) {
    return made(transport_, ctx,
                jsonCall("POST", "/api/v4/runners/reset_authentication_token", bodyWith(token)),
                token);
}

TokenAnswer HttpTokenApi::removeManager(const CallContext& ctx, const Secret& token,
                                        const std::string& systemId) {
    auto json = bodyWith(token);
    json.set("system_id", systemId);
    std::optional<http::Response> response;
    auto answer = perform(transport_, ctx, jsonCall("DELETE", "/api/v4/runners/managers", json),
                          token, 204, &response);
    // Only GitLab itself names the manager; any other 404 is a proxy's or a wrong address.
    if (response && response->status == 404 &&
        response->body.find("manager not found") != std::string::npos) {
        answer.outcome = TokenOutcome::NotFound;
    }
    return answer;
}

TokenAnswer HttpTokenApi::removeRunner(const CallContext& ctx, const Secret& token) {
    return perform(transport_, ctx, jsonCall("DELETE", "/api/v4/runners", bodyWith(token)), token,
                   204, nullptr);
}

}  // namespace gridbridge::gitlab
