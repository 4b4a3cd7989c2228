#include <Poco/DateTimeFormatter.h>
#include <Poco/JSON/Object.h>
#include <Poco/Timestamp.h>

#include <sstream>

#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Params.h"

namespace gridbridge::fakegitlab {

namespace {

Reply credentials(int status, const RunnerState& owner, bool withId) {
    Poco::JSON::Object body;
    if (withId) {
        body.set("id", owner.id);
    }
    body.set("token", owner.spec.token);
    if (owner.spec.expiresAt) {
        const Poco::Timestamp at(sinceEpoch(*owner.spec.expiresAt).count() * 1000);
        body.set("token_expires_at", Poco::DateTimeFormatter::format(at, "%Y-%m-%dT%H:%M:%S.%iZ"));
    } else {
        body.set("token_expires_at", Poco::Dynamic::Var());
    }
    return jsonReply(status, toText(body));
}

std::vector<std::string> tagsOf(const Params& params) {
    std::vector<std::string> result;
    const auto list = params.json().getArray("tag_list");
    for (std::size_t i = 0; !list.isNull() && i < list->size(); ++i) {
        result.push_back(list->get(static_cast<unsigned>(i)).toString());
    }
    std::istringstream commas(params.text("tag_list"));
    for (std::string tag; std::getline(commas, tag, ',');) {
        result.push_back(tag);
    }
    return result;
}

/// What both ways of making a runner accept; nullopt = 400.
std::optional<RunnerSpec> newRunner(const Params& params, bool untaggedByDefault) {
    RunnerSpec spec;
    spec.tags = tagsOf(params);
    spec.description = params.text("description");
    spec.paused = params.text("paused") == "true";
    const auto untagged = params.text("run_untagged");
    spec.runUntagged = untagged.empty() ? untaggedByDefault : untagged == "true";
    spec.maximumTimeout = Seconds(params.number("maximum_timeout").value_or(0));
    const bool shortTimeout = params.has("maximum_timeout") && spec.maximumTimeout < Seconds(600);
    if (shortTimeout || (!spec.runUntagged && spec.tags.empty())) {
        return std::nullopt;
    }
    return spec;
}

Reply registerRunner(State& state, const Params& params) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    if (state.options.registrationToken.empty()) {
        return messageReply(410, "runner registration disallowed");
    }
    if (params.text("token") != state.options.registrationToken) {
        return messageReply(403);
    }
    auto spec = newRunner(params, true);
    if (!spec) {
        return jsonReply(400, R"({"message":{"tags_list":["can not be empty when runner is )"
                              R"(not allowed to pick untagged jobs"]}})");
    }
    spec->token = "glrtr-" + state.newName(20);
    const auto& made = state.addRunner(std::move(*spec));
    state.event("runner " + std::to_string(made.id) + " registered");
    return credentials(201, made, true);
}

Reply createRunner(State& state, const Request& request, const Params& params) {
    const auto& token = state.options.accessToken;
    if (token.empty() || request.header("private-token") != token) {
        return messageReply(401);
    }
    const auto type = params.text("runner_type");
    const bool known = type == "instance_type" ||
                       (type == "group_type" && params.number("group_id")) ||
                       (type == "project_type" && params.number("project_id"));
    if (!known) {
        return missing("runner_type does not have a valid value");
    }
    auto spec = newRunner(params, true);
    if (!spec) {
        return messageReply(400, "invalid runner");
    }
    spec->token = "glrt-t1_" + state.newName(20);
    return credentials(201, state.addRunner(std::move(*spec)), true);
}

Reply verify(State& state, const Params& params) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    auto* owner = state.runner(params.text("token"));
    if (owner == nullptr) {
        return messageReply(403);
    }
    state.meetManager(*owner, params.text("system_id"), params.features());
    return credentials(200, *owner, true);
}

Reply withNewToken(State& state, const RunnerState& old) {
    auto changed = old;
    state.removeRunner(old.spec.token);
    changed.spec.token = "glrt-t1_" + state.newName(20);
    auto& made = state.addRunner(changed.spec);
    made.id = changed.id;
    made.managers = changed.managers;
    for (auto& [id, job] : state.jobs()) {
        if (job.runnerToken == old.spec.token) {
            job.runnerToken = made.spec.token;
        }
    }
    return credentials(201, made, false);
}

Reply resetToken(State& state, const Params& params) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    const auto* owner = state.runner(params.text("token"));
    return owner == nullptr ? messageReply(403) : withNewToken(state, RunnerState(*owner));
}

Reply resetTokenById(State& state, const Request& request, std::int64_t id) {
    const auto& token = state.options.accessToken;
    if (token.empty() || request.header("private-token") != token) {
        return messageReply(401);
    }
    for (const auto& [key, owner] : state.runners()) {
        if (owner.id == id) {
            return withNewToken(state, RunnerState(owner));
        }
    }
    return messageReply(404);
}

Reply deleteRunner(State& state, const Params& params, bool onlyManager) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    if (onlyManager && !params.has("system_id")) {
        return missing("system_id is missing");
    }
    auto* owner = state.runner(params.text("token"));
    if (owner == nullptr) {
        return messageReply(403);
    }
    if (onlyManager && owner->managers.erase(params.text("system_id")) == 0) {
        return messageReply(404, "Runner manager not found");
    }
    if (!onlyManager) {
        state.removeRunner(params.text("token"));
    }
    Reply reply;
    reply.status = 204;
    return reply;
}

}  // namespace

Reply runnersApi(State& state, const Request& request, const std::string& path) {
    const auto call = request.method + " " + path;
    if (call == "GET runners/router/discovery") {
        return messageReply(501);
    }
    const Params params(request);
    if (!params.ok()) {
        return messageReply(400, "the body cannot be parsed");
    }
    if (queryValue(request.query, "token")) {
        state.violate(call + " with the token in the query");
    }
    if (call == "POST runners") {
        return registerRunner(state, params);
    }
    if (call == "POST user/runners") {
        return createRunner(state, request, params);
    }
    if (call == "POST runners/verify") {
        return verify(state, params);
    }
    if (call == "POST runners/reset_authentication_token") {
        return resetToken(state, params);
    }
    if (call == "DELETE runners" || call == "DELETE runners/managers") {
        return deleteRunner(state, params, path == "runners/managers");
    }
    if (call.starts_with("POST runners/") && call.ends_with("/reset_authentication_token")) {
        return resetTokenById(state, request, std::atoll(path.c_str() + sizeof("runners")));
    }
    state.violate("unknown call " + call);
    return messageReply(404);
}

}  // namespace gridbridge::fakegitlab
