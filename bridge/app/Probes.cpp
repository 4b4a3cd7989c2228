// Whether a batch system and the account of its jobs can be used.
#include "bridge/app/Daemon.h"
#include "bridge/folder/Account.h"
#include "bridge/folder/DirectFolders.h"
#include "bridge/folder/Reach.h"

namespace gridbridge::app {

namespace {

/// What the jobs' account must reach, and what it must not.
std::optional<BackendFault> accountFault(const Config& config, const BackendConfig& backend,
                                         const folder::Account& account) {
    const auto closed = folder::firstClosed(account, backend.workDir);
    if (!closed) {
        return BackendFault{"run_as", closed.error().message, "name another account"};
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

}  // namespace

std::optional<BackendFault> probeBackend(const Config& config, const BackendConfig& backend) {
    try {
        folder::DirectFolders folders(backend.workDir);
    } catch (const std::exception& e) {
        return BackendFault{"work_dir", e.what(), "name a folder of the service's own"};
    }
    const auto account = folder::findAccount(backend.runAs);
    if (!account) {
        // A directory server that is away comes back.
        const bool gone = account.error().kind == ErrorKind::Permanent;
        return BackendFault{gone ? "run_as" : "", account.error().message,
                            gone ? "name another account" : "see to the account directory"};
    }
    return account->own ? std::nullopt : accountFault(config, backend, *account);
}

}  // namespace gridbridge::app
