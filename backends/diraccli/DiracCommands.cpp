#include "backends/diraccli/DiracCommands.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include "backends/diraccli/DiracCliParse.h"
#include "backends/diraccli/DiracGuard.h"

namespace gridbridge {
namespace {

constexpr std::string_view kScratchPrefix = ".dirac-";
constexpr const char* kProxyName = "proxy";

/// Those of the configured variables that are not ours to set.
std::vector<std::string> othersOf(std::vector<std::string> variables) {
    constexpr std::array<std::string_view, 5> kOurs{
        "PYTHONPATH=", "TMPDIR=", "DCOMMANDS_CONFIG_DIR=", "X509_USER_PROXY=", "GRID_PROXY_FILE="};
    std::erase_if(variables, [&](const std::string& each) {
        return std::any_of(kOurs.begin(), kOurs.end(),
                           [&](std::string_view name) { return each.starts_with(name); });
    });
    return variables;
}

/// What the guard leaves once it is in the way of that command. An extension of DIRAC may have put
/// another program in its place.
const char* guardOf(const std::string& program) {
    return program == "dstat"                      ? "guard_names"
           : program == "dirac-wms-job-get-output" ? "guard_outputs"
                                                   : "guarded";
}

/// The group's section, without which `dstat` does not know what a user is called by.
std::string profileOf(const std::string& group) {
    return "[global]\ndefault_profile = gridbridge\n[gridbridge]\ngroup_name = " + group +
           "\nhome_dir = /\ndefault_se = none\n";
}

}  // namespace

DiracScratch::DiracScratch(const std::filesystem::path& parent) {
    std::error_code error;
    std::filesystem::create_directories(parent, error);
    auto name = (parent / (std::string(kScratchPrefix) + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) {  // 0700
        why_ = parent.string() + ": " + std::strerror(errno);
        return;
    }
    path_ = name;
    lock_ = ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static_cast<void>(::flock(lock_, LOCK_EX | LOCK_NB));
}

DiracScratch::~DiracScratch() {
    std::error_code error;
    if (!path_.empty()) {
        std::filesystem::remove_all(path_, error);
        ::close(lock_);
    }
}

void DiracScratch::sweep(const std::filesystem::path& parent) {
    std::error_code error;
    std::vector<std::filesystem::path> left;
    for (const auto& each : std::filesystem::directory_iterator(parent, error)) {
        if (each.path().filename().string().starts_with(kScratchPrefix)) {
            left.push_back(each.path());
        }
    }
    for (const auto& each : left) {
        const int folder = ::open(each.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0) {
            continue;
        }
        if (::flock(folder, LOCK_EX | LOCK_NB) == 0) {
            std::filesystem::remove_all(each, error);
        }
        ::close(folder);
    }
}

Result<void> DiracScratch::good() const {
    return path_.empty() ? transientError("there is no room for files of DIRAC's commands: " + why_)
                         : Result<void>();
}

Result<void> DiracScratch::write(const std::string& name, std::string_view text) const {
    std::error_code error;
    std::filesystem::create_directories((path_ / name).parent_path(), error);
    constexpr mode_t kOwnerOnly = 0600;
    const int file = ::open((path_ / name).c_str(),
                            O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kOwnerOnly);
    bool good = file >= 0;
    while (good && !text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        good = written > 0;
        text.remove_prefix(good ? static_cast<std::size_t>(written) : 0);
    }
    if (file >= 0) {
        good = ::close(file) == 0 && good;
    }
    return good ? Result<void>() : transientError("there is no room for " + name);
}

DiracCommands::DiracCommands(const DiracCliConfig& config, std::filesystem::path workDir,
                             ProcessRunner& runner, Clock& clock)
    : config_(config),
      workDir_(std::move(workDir)),
      clock_(clock),
      commands_({.binDir = config.binDir, .variables = othersOf(config.environment)}, runner,
                clock) {
    DiracScratch::sweep(workDir_);
}

Result<DiracSession> DiracCommands::begin() const {
    auto proxy = readDiracProxy(config_.proxy, config_.group, clock_.wallNow());
    if (!proxy) {
        return proxy.error();
    }
    DiracSession session{std::move(proxy).value(), std::make_unique<DiracScratch>(workDir_)};
    const auto& scratch = *session.scratch;
    if (auto good = scratch.good(); !good) {
        return good.error();
    }
    const std::pair<const char*, std::string_view> files[] = {
        {kProxyName, session.proxy.pem.reveal()}, {"guard/sitecustomize.py", diracGuard()}};
    for (const auto& [name, text] : files) {
        if (auto written = scratch.write(name, text); !written) {
            return written.error();
        }
    }
    if (auto written = scratch.write("profiles/dcommands.conf", profileOf(session.proxy.group));
        !written) {
        return written.error();
    }
    return session;
}

std::vector<std::string> DiracCommands::variablesFor(const DiracScratch& scratch) const {
    const auto inside = [&](const char* name) { return (scratch.path() / name).string(); };
    auto python = "PYTHONPATH=" + inside("guard");
    for (const auto& variable : config_.environment) {
        if (variable.starts_with("PYTHONPATH=")) {
            python += ":" + variable.substr(variable.find('=') + 1);
        }
    }
    return {python, "TMPDIR=" + scratch.path().string(),
            "DCOMMANDS_CONFIG_DIR=" + inside("profiles"), "X509_USER_PROXY=" + inside(kProxyName),
            "GRID_PROXY_FILE=" + inside(kProxyName),  // It is looked at first.
            // Nothing is to be written where the commands are installed.
            "PYTHONDONTWRITEBYTECODE=1"};
}

Result<Finished> DiracCommands::run(const CallContext& ctx, const DiracSession& session,
                                    const std::vector<std::string>& argv) {
    const auto guarded = session.scratch->path() / guardOf(argv.front());
    std::error_code error;
    std::filesystem::remove(guarded, error);
    auto said = commands_.run({{}, argv, variablesFor(*session.scratch)}, ctx);
    if (said && !std::filesystem::exists(guarded, error)) {
        return Error{ErrorKind::Uncertain,
                     argv.front() +
                         " is not the command of DIRAC 9, or does not heed PYTHONPATH, without "
                         "which hostile output cannot be kept away: see bin_dir; it says: " +
                         diracComplaint(said->out, said->err),
                     true};
    }
    return said;
}

Result<Finished> DiracCommands::ask(const CallContext& ctx, const DiracSession& session,
                                    const std::vector<std::string>& argv) {
    auto said = run(ctx, session, argv);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode != 0) {
        return transientError(argv.front() + ": " + diracComplaint(said->out, said->err));
    }
    return said;
}

}  // namespace gridbridge
