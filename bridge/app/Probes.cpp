// Whether a batch system and the account of its jobs can be used.
#include <unistd.h>

#include "bridge/app/Agent.h"
#include "bridge/app/Backends.h"
#include "bridge/app/ConfigAccounts.h"
#include "bridge/app/Daemon.h"
#include "bridge/folder/Account.h"
#include "bridge/folder/FolderFiles.h"
#include "bridge/folder/Reach.h"

namespace gridbridge::app {

namespace {

std::string ownName() {
    const auto own = folder::findAccount("");
    return own ? own->name : std::to_string(::geteuid());
}

/// What lets this service act as an account that it could not act as now.
std::string cureFor(const folder::Account& account) {
    if (folder::wayTo(account) == folder::Way::Setpriv) {
        return "see to that, or name another account";
    }
    return "start the service as root, or give it CAP_SETUID and CAP_SETGID (AmbientCapabilities= "
           "in its unit), or install sudo and write into /etc/sudoers.d/gridbridge: " +
           ownName() + " ALL=(" + account.name + ") NOPASSWD: ALL";
}

/// What the jobs' account must reach, and what it must not.
std::optional<BackendFault> reachFault(const Config& config, const BackendConfig& backend,
                                       const folder::Account& account, const std::string& key) {
    const auto closed = folder::firstClosed(account, backend.workDir);
    if (!closed) {
        return BackendFault{key, closed.error().message, cureFor(account)};
    }
    if (*closed) {
        const auto name = (*closed)->string();
        return BackendFault{"work_dir",
                            "the account " + account.name + " of the jobs cannot enter " + name,
                            "run chmod o+x " + name};
    }
    std::vector<std::filesystem::path> secrets{config.stateDir};
    for (const auto& runner : config.runners) {
        secrets.push_back(std::filesystem::absolute(runner.tokenFile));
        if (!runner.tls.key.empty()) {
            secrets.push_back(runner.tls.key);
        }
    }
    for (const auto& secret : secrets) {
        const auto open = folder::canRead(account, secret);
        if (!open || *open) {
            return BackendFault{
                key,
                open ? "the account " + account.name + " of the jobs can read " + secret.string()
                     : open.error().message,
                "close it to that account, or name another"};
        }
    }
    return std::nullopt;
}

std::optional<BackendFault> agentFault(folder::AgentFolders& folders, const BackendConfig& backend,
                                       const std::string& name, const folder::Account& account) {
    if (const auto fault = folder::giveFolder(backend.workDir / name, account)) {
        return BackendFault{"work_dir", fault->what, fault->cure};
    }
    if (const auto reached = folders.reach(name); !reached) {
        return BackendFault{accountKey(backend, name), reached.error().message,
                            "install gridbridge where that account can run it"};
    }
    return std::nullopt;
}

/// Whether the batch system answers, to that account, and knows what the configuration names.
std::optional<BackendFault> schedulerFault(const BackendConfig& backend, const std::string& account,
                                           folder::JobFolders& folders, Clock& clock) {
    const BackendType& type = backendType(backend.type);
    if (!type.isScheduler()) {
        return std::nullopt;
    }
    PosixProcessRunner processes(clock);
    const auto asked = type.make(backend, {.folders = folders,
                                           .processes = processes,
                                           .clock = clock,
                                           .account = account,
                                           .tell = [](const std::string&) {}});
    const auto probed = asked->probe({clock.steadyNow() + std::chrono::seconds(20)});
    if (probed) {
        return std::nullopt;
    }
    const auto& error = probed.error();
    const auto keys = "see " + std::string(type.keysToSee);
    if (error.kind == ErrorKind::Permanent) {
        return BackendFault{"type", error.message, keys};
    }
    return BackendFault{"", error.message,
                        (error.misconfigured ? keys : "see to " + std::string(type.scheduler)) +
                            "; until then jobs wait"};
}

std::string describe(const folder::Account& account) {
    return account.name + ": reached by " +
           (folder::wayTo(account) == folder::Way::Setpriv ? "setpriv" : "sudo");
}

/// What lies with the accounts and their folders, and how they are reached.
BackendHealth probeAccounts(const Config& config, const BackendConfig& backend,
                            folder::AgentFolders& folders) {
    BackendHealth health;
    for (const auto& name : backend.runAs.all()) {
        if (name.empty()) {
            continue;
        }
        const auto account = folder::findAccount(name);
        std::optional<BackendFault> fault;
        if (account) {
            fault = reachFault(config, backend, *account, accountKey(backend, name));
            fault = fault ? fault : agentFault(folders, backend, name, *account);
            health.accounts.push_back(describe(*account));
        } else if (account.error().kind == ErrorKind::Permanent) {
            fault = BackendFault{accountKey(backend, name), account.error().message,
                                 "name another account"};
        } else {  // A directory server that is away comes back.
            fault = BackendFault{"", account.error().message, "see to the account directory"};
        }
        // What passes must not hide what does not.
        if (fault && (!health.fault || health.fault->key.empty())) {
            health.fault = fault;
        }
    }
    return health;
}

}  // namespace

BackendHealth probeBackend(const Config& config, const BackendConfig& backend) {
    SystemClock clock;
    std::unique_ptr<folder::AgentFolders> folders;
    try {
        folders = foldersOf(backend, clock);
    } catch (const std::exception& e) {
        return {BackendFault{"work_dir", e.what(), "name a folder of the service's own"}, {}};
    }
    if (const auto written = folder::checkWritable(backend.workDir); !written) {
        return {BackendFault{"", written.error().message, "until then jobs wait"}, {}};
    }
    auto health = probeAccounts(config, backend, *folders);
    for (const auto& name : backend.runAs.all()) {
        if (!health.fault) {
            health.fault = schedulerFault(backend, name, *folders, clock);
        }
    }
    return health;
}

}  // namespace gridbridge::app
