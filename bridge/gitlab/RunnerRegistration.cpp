#include <Poco/JSON/Object.h>

#include <algorithm>
#include <sstream>

#include "bridge/gitlab/Runner.h"
#include "bridge/gitlab/TokenApi.h"

namespace gridbridge::gitlab {

namespace {

using Poco::JSON::Object;

std::string joined(const std::vector<std::string>& tags) {
    std::string list;
    for (const auto& tag : tags) {
        list += (list.empty() ? "" : ",") + tag;
    }
    return list;
}

/// The fifth element of a runner's file: as the Python package fills it, `active` not among it.
std::string dataOf(const RunnerSettings& settings) {
    const auto text = [](Object& into, const char* key, const std::string& value) {
        if (!value.empty()) {
            into.set(key, value);
        }
    };
    Object::Ptr info = new Object(Poco::JSON_PRESERVE_KEY_ORDER);
    text(*info, "name", settings.name);
    text(*info, "version", settings.version);
    text(*info, "revision", settings.revision);
    text(*info, "platform", settings.platform);
    text(*info, "architecture", settings.architecture);
    text(*info, "executor", settings.executor);
    Object data(Poco::JSON_PRESERVE_KEY_ORDER);
    data.set("info", info);
    text(data, "description", settings.description);
    if (settings.locked) {
        data.set("locked", *settings.locked);
    }
    if (settings.runUntagged) {
        data.set("run_untagged", *settings.runUntagged);
    }
    text(data, "tag_list", joined(settings.tags));
    if (settings.maximumTimeout) {
        data.set("maximum_timeout", std::int64_t{settings.maximumTimeout->count()});
    }
    text(data, "access_level", settings.accessLevel);
    std::ostringstream json;
    data.stringify(json);
    return json.str();
}

NewRunner newRunner(const RunnerSettings& settings) {
    return {.description = settings.description,
            .tags = settings.tags,
            .accessLevel = settings.accessLevel,
            .paused = !settings.active.value_or(true),
            .locked = settings.locked.value_or(false),
            .runUntagged = settings.runUntagged.value_or(true),
            .maximumTimeout = settings.maximumTimeout};
}

bool differsFromDefaults(const RunnerSettings& settings) {
    return !settings.description.empty() || !settings.active.value_or(true) ||
           settings.locked.value_or(false) || !settings.runUntagged.value_or(true) ||
           !settings.tags.empty() || settings.maximumTimeout || !settings.accessLevel.empty();
}

void refuseUnusable(const RunnerSettings& settings) {
    for (const auto& tag : settings.tags) {
        if (tag.empty() || tag.find(',') != std::string::npos) {
            throw RunnerError("a tag must neither be empty nor hold a comma");
        }
    }
    const auto& level = settings.accessLevel;
    if (!level.empty() && level != "not_protected" && level != "ref_protected") {
        throw RunnerError("the access level is not_protected or ref_protected, not " + level);
    }
}

TokenAnswer madeBy(Client& client, const Secret& token, const RunnerSettings& settings) {
    auto made =
        HttpTokenApi(client.transport()).registerRunner(client.call(), token, newRunner(settings));
    switch (made.outcome) {
        case TokenOutcome::Done:
            break;
        case TokenOutcome::Forbidden:
            throw AuthError("GitLab does not know this registration token: " + made.message);
        case TokenOutcome::NotFound:
        case TokenOutcome::Refused:
            throw RunnerError(made.message);
        case TokenOutcome::Retry:
            throw Unreachable(made.message);
        case TokenOutcome::Misconfigured:
            throw Misconfigured(made.message);
        case TokenOutcome::Uncertain:
            throw Unreachable("a runner may have been made whose token is lost: " + made.message +
                              "; remove it in GitLab if it is there, then register again");
    }
    return made;
}

}  // namespace

Runner Runner::registerWith(const std::string& apiUrl, const Secret& token,
                            const RunnerSettings& settings, ClientOptions options) {
    refuseUnusable(settings);
    auto client = std::make_shared<Client>(apiUrl, std::move(options));
    Runner runner(client, {.apiUrl = client->apiUrl(), .token = token, .data = dataOf(settings)},
                  settings);
    if (token.reveal().starts_with("glrt-")) {
        if (differsFromDefaults(settings)) {
            throw RunnerError(
                "a runner with a glrt- token has its settings in GitLab: change them there");
        }
        runner.dump_.id = runner.verify().runnerId;
    } else {
        const auto made = madeBy(*client, token, settings);
        runner.dump_.id = made.runnerId;
        runner.dump_.token = made.token;
    }
    if (runner.id() <= 0) {
        throw RunnerError(client->apiUrl() +
                          " does not say the id of the runner; is it a GitLab server?");
    }
    return runner;
}

}  // namespace gridbridge::gitlab
