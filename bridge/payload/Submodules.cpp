#include "bridge/payload/Submodules.h"

#include <algorithm>

#include "bridge/payload/Lfs.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

/// For all commands on submodules. Their addresses come from a file of the repository: git takes
/// none that names a folder or a command of the node, but gits before 2.38 and a node's own
/// configuration may, and old gits could be led to a hook. A HOME of the job's own hides the
/// credentials.
std::string submoduleCommand(bool hasCredentials) {
    return std::string("gb_submodule() {\n  git") +
           (hasCredentials ? " -c include.path=\"$GB_HOME_DIR/.gitconfig\"" : "") +
           " -c protocol.file.allow=user -c protocol.ext.allow=never -c core.hooksPath=/dev/null "
           "submodule \"$@\"\n}\n";
}

std::string updateCommand(int depth, const Settings& settings, const std::string& deep,
                          const std::string& paths) {
    std::string text = "gb_update() {\n  gb_submodule update --init" + deep;
    if (depth > 0) {
        text += " --depth " + std::to_string(depth);
    }
    return text + quotedWords(settings.submoduleUpdateFlags) + paths + "\n}\n";
}

}  // namespace

bool isOfRemoteBranches(const Settings& settings) {
    const auto& flags = settings.submoduleUpdateFlags;
    return std::find(flags.begin(), flags.end(), "--remote") != flags.end();
}

std::string submoduleFault(const Settings& settings) {
    if (settings.submodules == SubmoduleStrategy::Unknown) {
        return "unknown GIT_SUBMODULE_STRATEGY";
    }
    const auto& paths = settings.submodulePaths;
    const bool lone = std::find(paths.begin(), paths.end(), ":(exclude)") != paths.end();
    return lone && settings.submodules != SubmoduleStrategy::None
               ? "GIT_SUBMODULE_PATHS: `:(exclude)` without a path"
               : "";
}

std::string submoduleSetup(const Settings& settings, bool hasCredentials) {
    if (settings.submodules == SubmoduleStrategy::None) {
        return printGreen("Skipping Git submodules setup");
    }
    const bool recursive = settings.submodules == SubmoduleStrategy::Recursive;
    const int depth = settings.submoduleDepth;
    const std::string deep = recursive ? " --recursive" : "";
    const auto paths =
        settings.submodulePaths.empty() ? "" : " --" + quotedWords(settings.submodulePaths);
    const auto sync = "gb_submodule sync" + deep + paths + "\n";
    const auto each = "gb_submodule foreach" + deep + " ";

    // No submodule has files yet that would have to be cleaned: the folder is fresh.
    auto text = printGreen(
        std::string("Updating/initializing submodules") + (recursive ? " recursively" : "") +
        (depth > 0 ? " with git depth set to " + std::to_string(depth) : "") + "...");
    text += submoduleCommand(hasCredentials) + updateCommand(depth, settings, deep, paths);
    text += "gb_submodule init" + paths + "\n" + sync;
    text += "if gb_update; then\n" + printGreen("Updated submodules") + sync + "else\n";
    text += "printf '\\033[0;33m%s\\033[0;m\\n' 'Updating submodules failed. Retrying...'\n";
    if (isOfRemoteBranches(settings)) {
        text += each + shellQuoted("git fetch origin '+refs/heads/*:refs/remotes/origin/*'") + "\n";
    }
    text += sync + "gb_update\n" + each + "'git reset --hard'\nfi\n";
    if (!settings.gitCleanFlags.empty()) {
        text += each + shellQuoted("git clean" + quotedWords(settings.gitCleanFlags)) + "\n";
    }
    if (hasCredentials) {
        text += printGreen("Configuring submodules to use parent git credentials...");
        text +=
            "gb_submodule foreach --recursive "
            "'git config --replace-all include.path \"$GB_HOME_DIR/.gitconfig\"'\n";
    }
    if (settings.lfs) {
        text += each + shellQuoted(lfsPull()) + "\n";
    }
    return text;
}

}  // namespace gridbridge::payload
