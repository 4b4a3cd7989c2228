// Whether a batch system and the account of its jobs can be used.
#include <unistd.h>

#include "backends/command/CommandBackend.h"
#include "backends/htcondor/HTCondorBackend.h"
#include "backends/slurm/SlurmBackend.h"
#include "bridge/app/Agent.h"
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

BackendFault unreached(const folder::Account& account, const std::string& what) {
    return {"run_as", what, cureFor(account)};
}

/// What the jobs' account must reach, and what it must not.
std::optional<BackendFault> accountFault(const Config& config, const BackendConfig& backend,
                                         const folder::Account& account) {
    const auto closed = folder::firstClosed(account, backend.workDir);
    if (!closed) {
        return unreached(account, closed.error().message);
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
                "run_as",
                open ? "the account " + account.name + " of the jobs can read " + secret.string()
                     : open.error().message,
                "close it to that account, or name another"};
        }
    }
    return std::nullopt;
}

std::optional<BackendFault> agentFault(folder::AgentFolders& folders, const BackendConfig& backend,
                                       const folder::Account& account) {
    if (const auto fault = folder::giveFolder(backend.workDir / account.name, account)) {
        return BackendFault{"work_dir", fault->what, fault->cure};
    }
    if (const auto reached = folders.reach(account.name); !reached) {
        return BackendFault{"run_as", reached.error().message,
                            "install gridbridge where that account can run it"};
    }
    return std::nullopt;
}

struct Scheduler {
    std::unique_ptr<Backend> backend;  ///< Empty where none is to be asked.
    std::string name;
    std::string keys;  ///< What to look at where it cannot be used.
};

Scheduler schedulerOf(const BackendConfig& backend, const std::string& account,
                      folder::JobFolders& folders, ProcessRunner& processes, Clock& clock) {
    const auto tell = [](const std::string&) {};
    if (backend.type == "slurm") {
        return {
            std::make_unique<SlurmBackend>(backend.slurm, account, folders, processes, clock, tell),
            "Slurm", "slurm_conf, bin_dir and partition"};
    }
    if (backend.type == "htcondor") {
        return {std::make_unique<HTCondorBackend>(backend.htcondor, account, folders, processes,
                                                  clock, tell),
                "HTCondor", "condor_config, bin_dir and run_as"};
    }
    if (backend.type == "command") {
        return {std::make_unique<CommandBackend>(backend.command, account, folders, processes,
                                                 clock, tell),
                "the batch system", "bin_dir, command_environment and status"};
    }
    return {};
}

/// Whether the batch system answers, to that account, and knows what the configuration names.
std::optional<BackendFault> schedulerFault(const BackendConfig& backend, const std::string& account,
                                           folder::JobFolders& folders, Clock& clock) {
    PosixProcessRunner processes(clock);
    const auto scheduler = schedulerOf(backend, account, folders, processes, clock);
    if (!scheduler.backend) {
        return std::nullopt;
    }
    const auto probed = scheduler.backend->probe({clock.steadyNow() + std::chrono::seconds(20)});
    if (probed) {
        return std::nullopt;
    }
    const bool passes = probed.error().kind != ErrorKind::Permanent;
    return BackendFault{
        passes ? "" : "type", probed.error().message,
        passes ? "see to " + scheduler.name + "; until then jobs wait" : "see " + scheduler.keys};
}

std::string describe(const folder::Account& account) {
    return account.name + ": reached by " +
           (folder::wayTo(account) == folder::Way::Setpriv ? "setpriv" : "sudo");
}

BackendHealth probeAccount(const Config& config, const BackendConfig& backend,
                           const std::string& name, folder::AgentFolders& folders, Clock& clock) {
    if (name.empty()) {
        return {schedulerFault(backend, name, folders, clock), {}};
    }
    const auto account = folder::findAccount(name);
    if (!account) {
        // A directory server that is away comes back.
        const bool gone = account.error().kind == ErrorKind::Permanent;
        return {BackendFault{gone ? "run_as" : "", account.error().message,
                             gone ? "name another account" : "see to the account directory"},
                {}};
    }
    auto fault = accountFault(config, backend, *account);
    if (!fault) {
        fault = agentFault(folders, backend, *account);
    }
    if (!fault) {
        fault = schedulerFault(backend, name, folders, clock);
    }
    return {std::move(fault), describe(*account)};
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
    BackendHealth health;
    for (const auto& name : backend.accounts()) {
        const auto one = probeAccount(config, backend, name, *folders, clock);
        if (one.fault) {
            auto fault = *one.fault;
            fault.key =
                fault.key == "run_as" && name != backend.runAs ? "project_run_as" : fault.key;
            return {fault, one.account};
        }
        health.account +=
            (health.account.empty() || one.account.empty() ? "" : ", account ") + one.account;
    }
    return health;
}

}  // namespace gridbridge::app
