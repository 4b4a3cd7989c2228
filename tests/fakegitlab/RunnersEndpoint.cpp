#include <Poco/DateTime.h>
#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/DateTimeParser.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/Timestamp.h>

#include <sstream>
#include <variant>

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

/// A new token, which lives as long as the instance's settings say.
void giveToken(State& state, RunnerSpec& spec, const std::string& prefix) {
    spec.token = prefix + state.newName(20);
    spec.expiresAt.reset();
    if (state.options.tokenLife) {
        spec.expiresAt = state.now() + *state.options.tokenLife;
    }
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

constexpr std::size_t kLongestNote = 1024;
constexpr std::size_t kMostTags = 50;
constexpr Seconds kShortestTimeout{600};

/// A model's complaint: {"message":{"field":["why"]}}
Reply invalid(const std::string& field, const std::string& why) {
    Poco::JSON::Array::Ptr reasons = new Poco::JSON::Array;
    reasons->add(why);
    Poco::JSON::Object fields;
    fields.set(field, reasons);
    Poco::JSON::Object body;
    body.set("message", fields);
    return jsonReply(400, toText(body));
}

/// What the parameters' types, values and exclusions forbid, before anything else is looked at.
std::optional<Reply> unacceptable(const Params& params) {
    for (const auto* name : {"active", "paused", "locked", "run_untagged"}) {
        const auto text = params.text(name);
        if (params.has(name) && text != "true" && text != "false") {
            return missing(std::string(name) + " is invalid");
        }
    }
    const auto level = params.text("access_level");
    if (params.has("access_level") && level != "not_protected" && level != "ref_protected") {
        return missing("access_level does not have a valid value");
    }
    if (params.has("maximum_timeout") && !params.number("maximum_timeout")) {
        return missing("maximum_timeout is invalid");
    }
    for (const auto& [first, second] :
         {std::pair("active", "paused"), std::pair("maintainer_note", "maintenance_note")}) {
        if (params.has(first) && params.has(second)) {
            return missing(std::string(first) + ", " + second + " are mutually exclusive");
        }
    }
    return std::nullopt;
}

/// The runner that both ways of making one lead to, or the model's complaint.
std::variant<RunnerSpec, Reply> newRunner(const Params& params) {
    RunnerSpec spec;
    spec.tags = tagsOf(params);
    spec.description = params.text("description");
    spec.maintenanceNote =
        params.text(params.has("maintainer_note") ? "maintainer_note" : "maintenance_note");
    spec.paused = params.text("paused") == "true" || params.text("active") == "false";
    spec.locked = params.text("locked") == "true";
    spec.runUntagged = params.text("run_untagged") != "false";
    spec.accessLevel = params.has("access_level") ? params.text("access_level") : "not_protected";
    spec.maximumTimeout = Seconds(params.number("maximum_timeout").value_or(0));
    if (spec.maintenanceNote.size() > kLongestNote) {
        return invalid("maintenance_note", "is too long (maximum is 1024 characters)");
    }
    if (spec.tags.size() > kMostTags) {
        return invalid("tags_list",
                       "Too many tags specified. Please limit the number of tags to 50");
    }
    if (params.has("maximum_timeout") && spec.maximumTimeout < kShortestTimeout) {
        return invalid("maximum_timeout", "needs to be at least 10 minutes");
    }
    if (!spec.runUntagged && spec.tags.empty()) {
        return invalid("tags_list",
                       "can not be empty when runner is not allowed to pick untagged jobs");
    }
    return spec;
}

/// Names the defects of clients that a real server overlooks.
void checkInfo(State& state, const std::string& call, const Params& params) {
    const auto info = params.object("info");
    if (info.isNull() || !info->has("name") || !info->has("version")) {
        state.violate(call + " without info.name and info.version");
        return;
    }
    if (info->has("access_level")) {
        state.violate(call + " with access_level within info, where no server looks");
    }
}

Reply registerRunner(State& state, const Params& params) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    checkInfo(state, "POST runners", params);
    if (auto refusal = unacceptable(params)) {
        return *refusal;
    }
    if (state.options.registrationToken.empty()) {
        return messageReply(410, "runner registration disallowed");
    }
    if (params.text("token") != state.options.registrationToken) {
        return messageReply(403);
    }
    auto made = newRunner(params);
    if (const auto* refusal = std::get_if<Reply>(&made)) {
        return *refusal;
    }
    auto& spec = std::get<RunnerSpec>(made);
    giveToken(state, spec, "glrtr-");
    spec.program = params.object("info").isNull()
                       ? ""
                       : params.object("info")->optValue<std::string>("name", "");
    const auto& added = state.addRunner(std::move(spec));
    state.event("runner " + std::to_string(added.id) + " registered");
    return credentials(201, added, true);
}

/// What a call of a user without a good PRIVATE-TOKEN is answered.
std::optional<Reply> denied(const State& state, const Request& request) {
    const auto& token = request.header("private-token");
    if (!token.empty() && token == state.options.weakAccessToken) {
        return messageReply(403);
    }
    const bool known = !token.empty() && token == state.options.accessToken;
    return known ? std::nullopt : std::optional(messageReply(401));
}

Reply createRunner(State& state, const Request& request, const Params& params) {
    if (auto refusal = denied(state, request)) {
        return *refusal;
    }
    const auto type = params.text("runner_type");
    const bool known = type == "instance_type" ||
                       (type == "group_type" && params.number("group_id")) ||
                       (type == "project_type" && params.number("project_id"));
    if (!known) {
        return missing("runner_type does not have a valid value");
    }
    if (auto refusal = unacceptable(params)) {
        return *refusal;
    }
    auto made = newRunner(params);
    if (const auto* refusal = std::get_if<Reply>(&made)) {
        return *refusal;
    }
    auto& spec = std::get<RunnerSpec>(made);
    giveToken(state, spec, "glrt-t1_");
    return credentials(201, state.addRunner(std::move(spec)), true);
}

Reply verify(State& state, const Params& params) {
    if (!params.has("token")) {
        return missing("token is missing");
    }
    checkInfo(state, "POST runners/verify", params);
    if (!params.features()) {
        state.violate("POST runners/verify without info.features, which the server keeps");
    }
    auto* owner = state.runner(params.text("token"));
    if (owner == nullptr) {
        return messageReply(403);
    }
    state.meetManager(*owner, params.text("system_id"), params.features());
    return credentials(200, *owner, true);
}

Reply withNewToken(State& state, const RunnerState& old) {
    if (!old.spec.resettable) {
        return messageReply(422, "the token cannot be reset");
    }
    auto changed = old;
    state.removeRunner(old.spec.token);
    giveToken(state, changed.spec, old.spec.token.starts_with("glrtr-") ? "glrtr-" : "glrt-t1_");
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
    if (auto refusal = denied(state, request)) {
        return *refusal;
    }
    for (const auto& [key, owner] : state.runners()) {
        if (owner.id == id) {
            return withNewToken(state, RunnerState(owner));
        }
    }
    return messageReply(404);
}

/// Whether `If-Unmodified-Since` names a time before the latest contact.
bool isStale(const Request& request, WallTime changed) {
    Poco::DateTime at;
    int zone = 0;
    return Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::HTTP_FORMAT,
                                          request.header("if-unmodified-since"), at, zone) &&
           at.timestamp().epochTime() < std::chrono::floor<Seconds>(sinceEpoch(changed)).count();
}

Reply deleteRunner(State& state, const Request& request, const Params& params, bool onlyManager) {
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
    const auto manager = owner->managers.find(params.text("system_id"));
    if (onlyManager && manager == owner->managers.end()) {
        return messageReply(404, "Runner manager not found");
    }
    if (isStale(request,
                onlyManager ? manager->second.contact : owner->contact.value_or(WallTime{}))) {
        return messageReply(412);
    }
    if (onlyManager) {
        owner->managers.erase(manager);
    } else {
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
        return messageReply(state.runner(request.header("runner-token")) == nullptr ? 403 : 501);
    }
    const Params params(request);
    if (!request.body.empty() && !request.header("content-type").starts_with("application/json")) {
        state.violate(call + " with a body that is not called application/json");
    }
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
        return deleteRunner(state, request, params, path == "runners/managers");
    }
    if (call.starts_with("POST runners/") && call.ends_with("/reset_authentication_token")) {
        return resetTokenById(state, request, std::atoll(path.c_str() + sizeof("runners")));
    }
    state.violate("unknown call " + call);
    return messageReply(404);
}

}  // namespace gridbridge::fakegitlab
