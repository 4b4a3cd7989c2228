#include "bridge/app/Contact.h"

#include "bridge/app/GitLabAccess.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

Contact Contact::read(const Config& config) {
    Contact contact;
    std::error_code ignored;
    if (!std::filesystem::exists(config.stateDir / "gridbridge.db", ignored)) {
        return contact;
    }
    store::JobReader reader(config.stateDir);
    contact.systemId = app::systemId(reader.installation());
    for (const auto& runner : config.runners) {
        if (auto token = reader.runnerToken(runner.name, runner.token)) {
            if (token->askedAt) {
                contact.unanswered.insert(runner.name);
            }
            contact.renewed.emplace(runner.name, std::move(token->token));
        }
    }
    for (const auto& runner : reader.runners()) {
        if (!runner.health.empty() && runner.health != "ok") {
            contact.ill.emplace(runner.name, runner.health);
        }
        if (runner.draining) {
            contact.drained.insert(runner.name);
        }
    }
    return contact;
}

RunnerConfig Contact::current(RunnerConfig runner) const {
    if (const auto found = renewed.find(runner.name); found != renewed.end()) {
        runner.token = found->second;
    }
    return runner;
}

}  // namespace gridbridge::app
