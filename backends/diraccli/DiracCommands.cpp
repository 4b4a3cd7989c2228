#include "backends/diraccli/DiracCommands.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdlib.h>
#include <sys/stat.h>

#include "backends/diraccli/DiracCliParse.h"

namespace gridbridge {
namespace {

constexpr std::string_view kGuard =
    R"gb(# gridbridge: what DIRAC's commands unpack was packed by somebody else.
import os
import shutil
import tarfile

MOST = 256 << 20
MOST_FILES = 1000


def extract(self, member, path="", *others, **named):
    info = self.getmember(member) if isinstance(member, str) else member
    taken = self.__dict__.setdefault("gridbridge_taken", {})
    if not info.isreg() or info.name in ("", ".", "..") or "/" in info.name or "\0" in info.name:
        raise OSError("the output sandbox is refused: it holds something other than files, or a name that no job gives back")
    if info.name in taken or len(taken) >= MOST_FILES or sum(taken.values()) + info.size > MOST:
        raise OSError("the output sandbox is refused: it holds more files than a job leaves, or more than 256 MiB")
    taken[info.name] = info.size
    target = os.open(os.path.join(path, info.name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(target, "wb") as file:
        shutil.copyfileobj(self.extractfile(info), file)


def extractall(self, path=".", members=None, **named):
    for member in members or self:
        self.extract(member, path)


tarfile.TarFile.extract = extract
tarfile.TarFile.extractall = extractall
open(os.path.join(os.environ["TMPDIR"], "guarded"), "w").close()
)gb";

/// The group's section, without which `dstat` does not know what a user is called by.
std::string profileOf(const std::string& group) {
    return "[global]\ndefault_profile = gridbridge\n[gridbridge]\ngroup_name = " + group +
           "\nhome_dir = /\ndefault_se = none\n";
}

}  // namespace

DiracScratch::DiracScratch(const std::filesystem::path& parent) {
    std::error_code error;
    std::filesystem::create_directories(parent, error);
    auto name = (parent / ".dirac-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {  // 0700
        why_ = parent.string() + ": " + std::strerror(errno);
    } else {
        path_ = name;
    }
}

DiracScratch::~DiracScratch() {
    std::error_code error;
    if (!path_.empty()) {
        std::filesystem::remove_all(path_, error);
    }
}

Result<void> DiracScratch::good() const {
    return path_.empty() ? transientError("there is no room for files of DIRAC's commands: " + why_)
                         : Result<void>();
}

Result<void> DiracScratch::write(const std::string& name, const std::string& text) const {
    std::error_code error;
    std::filesystem::create_directories((path_ / name).parent_path(), error);
    std::ofstream file(path_ / name);
    file << text;
    file.close();
    return file ? Result<void>() : transientError("there is no room for " + name);
}

DiracCommands::DiracCommands(const DiracCliConfig& config, ProcessRunner& runner, Clock& clock)
    : config_(config),
      clock_(clock),
      commands_({.binDir = config.binDir, .variables = config.environment}, runner, clock) {}

Result<DiracProxy> DiracCommands::proxy() const {
    return readDiracProxy(config_.proxy, config_.group, clock_.wallNow());
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
            "DCOMMANDS_CONFIG_DIR=" + inside("profiles"),
            "X509_USER_PROXY=" + config_.proxy.string(),
            // Nothing is to be written where the commands are installed.
            "PYTHONDONTWRITEBYTECODE=1"};
}

Result<Finished> DiracCommands::run(const CallContext& ctx, const DiracProxy& proxy,
                                    const DiracScratch& scratch,
                                    const std::vector<std::string>& argv) {
    const auto profile = scratch.write("profiles/dcommands.conf", profileOf(proxy.group));
    const auto guard = scratch.write("guard/sitecustomize.py", std::string(kGuard));
    for (const auto* written : {&profile, &guard}) {
        if (!written->ok()) {
            return written->error();
        }
    }
    auto said = commands_.run({{}, argv, variablesFor(scratch)}, ctx);
    if (said && !std::filesystem::exists(scratch.path() / "guarded")) {
        return Error{ErrorKind::Uncertain,
                     argv.front() +
                         " is no command of DIRAC that heeds PYTHONPATH, without which "
                         "hostile output cannot be kept away: see bin_dir; it says: " +
                         diracComplaint(said->out, said->err),
                     true};
    }
    return said;
}

Result<Finished> DiracCommands::ask(const CallContext& ctx, const DiracProxy& proxy,
                                    const DiracScratch& scratch,
                                    const std::vector<std::string>& argv) {
    auto said = run(ctx, proxy, scratch, argv);
    if (!said) {
        return withoutEffect(said.error());
    }
    if (said->exitCode != 0) {
        return transientError(argv.front() + ": " + diracComplaint(said->out, said->err));
    }
    return said;
}

}  // namespace gridbridge
