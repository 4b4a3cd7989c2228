#include "bridge/app/ConfigAccounts.h"

#include <map>

#include "bridge/app/ConfigResources.h"

namespace gridbridge::app {

namespace {

constexpr const char* kAnother = "name an account that cannot read the service's files";

/// An account that `key` names. `names`: of those before it, by their numbers; two names of one
/// account would separate nobody.
void check(ConfigSection& section, std::string_view key, const std::string& name, const Host& host,
           std::map<uid_t, std::string>& names) {
    const auto quoted = "\"" + name + "\"";
    const auto uid = host.uidOf(name);
    if (!uid) {
        section.report(key, "there is no account " + quoted, "create it or name another");
    } else if (*uid == host.uid) {
        section.report(key, quoted + " is the account of the service itself", kAnother);
    } else if (*uid == 0) {
        section.report(key, quoted + " can read every file", kAnother);
    } else if (const auto [other, isNew] = names.emplace(*uid, name); !isNew) {
        section.report(key, quoted + " is the same account as \"" + other->second + "\"",
                       "name one of the two only");
    }
}

}  // namespace

void takeAccounts(ConfigSection& section, BackendConfig& backend, const Host& host) {
    auto& runAs = backend.runAs;
    runAs.usual = section.text("run_as").value_or("");
    if (!section.has("run_as") && !section.has("trusted_jobs")) {
        section.report("run_as", "is missing",
                       "name the account that jobs run as, or write trusted_jobs = true "
                       "if every job may do what this service may");
    } else if (!section.has("run_as") && section.flag("trusted_jobs") == false) {
        section.report("trusted_jobs", "is false without run_as",
                       "name the account that jobs run as in run_as");
    }
    runAs.projects = byProject(section, "project_run_as");
    std::map<uid_t, std::string> names;
    for (const auto& account : runAs.all()) {
        if (!account.empty()) {
            check(section, accountKey(backend, account), account, host, names);
        }
    }
}

const char* accountKey(const BackendConfig& backend, const std::string& account) {
    return account == backend.runAs.usual ? "run_as" : "project_run_as";
}

}  // namespace gridbridge::app
