#include <algorithm>

#include "bridge/payload/Lfs.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/StageText.h"
#include "bridge/payload/Stages.h"
#include "bridge/payload/Submodules.h"

namespace gridbridge::payload {

namespace {

const std::vector<std::string>& hook(const gitlab::JobDescription& job, std::string_view name) {
    static const std::vector<std::string> none;
    const auto found = std::find_if(job.hooks.begin(), job.hooks.end(),
                                    [&](const gitlab::Step& step) { return step.name == name; });
    return found == job.hooks.end() ? none : found->script;
}

/// Needs no quoting in git's configuration.
bool isPlain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(":/.-_[]").find(c) != std::string_view::npos;
    });
}

/// `scheme://host[:port]` of an HTTP address; empty for any other, or one that needs quoting.
std::string siteOf(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos ||
        (url.substr(0, scheme) != "https" && url.substr(0, scheme) != "http")) {
        return {};
    }
    const auto site = url.substr(0, url.find('/', scheme + 3));
    return isPlain(site) ? std::string(site) : std::string();
}

/// GitLab's SSH addresses are taken for its HTTP addresses, for which there are credentials.
std::string sshAsHttp(const gitlab::JobDescription& job, const Settings& settings,
                      const std::string& site) {
    // GitLab need not be at the root of its site.
    const std::string_view url = job.git.repoUrl;
    const auto project = "/" + job.projectPath + ".git";
    const auto base =
        url.ends_with(project) ? std::string(url.substr(0, url.size() - project.size())) : site;
    auto host = settings.sshHost;
    if (host.empty()) {
        host = site.substr(site.find("://") + 3);
        const auto port = host.rfind(':');
        host = host.substr(0, host.find(']', port) == std::string::npos ? port : host.npos);
    }
    if (!isPlain(base) || !isPlain(host) || !isPlain(settings.sshPort)) {
        return {};
    }
    auto text = "[url \"" + base + "/\"]\n\tinsteadOf = git@" + host +
                ":\n\tinsteadOf = ssh://git@" + host + "/\n";
    if (!settings.sshPort.empty()) {
        text += "\tinsteadOf = ssh://git@" + host + ":" + settings.sshPort + "/\n";
    }
    return text;
}

/// The job token comes out of the environment when git asks for it, and is nowhere else.
std::string credentials(const gitlab::JobDescription& job, const Settings& settings,
                        const std::string& site, bool hasCa) {
    if (site.empty()) {
        return {};
    }
    std::string config = "[credential \"" + site + "\"]\n" +
                         "\thelper =\n"
                         "\thelper = \"!f(){ test \\\"$1\\\" = get && "
                         "printf \\\"password=%s\\\\n\\\" \\\"$CI_JOB_TOKEN\\\"; }; f\"\n"
                         "\tusername = gitlab-ci-token\n";
    if (settings.submoduleForceHttps) {
        config += sshAsHttp(job, settings, site);
    }
    std::string text = "printf '%s' " + shellQuoted(config) + " >\"$GB_HOME_DIR/.gitconfig\"\n";
    if (hasCa) {
        text += "git config -f \"$GB_HOME_DIR/.gitconfig\" " +
                shellQuoted("http." + site + ".sslCAInfo") +
                " \"$GB_TMP_DIR/CI_SERVER_TLS_CA_FILE\"\n";
    }
    return text;
}

std::string emptyProject() {
    return "rm -rf -- \"$GB_PROJECT_DIR\" || {\n"
           "  chmod -R u+rwX -- \"$GB_PROJECT_DIR\"\n"
           "  rm -rf -- \"$GB_PROJECT_DIR\"\n"
           "}\n"
           "mkdir -p -- \"$GB_PROJECT_DIR\"\n";
}

std::string initialise(const gitlab::GitInfo& git, bool hasSite) {
    std::string text =
        "gb_template=$GB_TMP_DIR/git-template\n"
        "rm -rf -- \"$gb_template\"\n"
        "mkdir -p -- \"$gb_template\"\n"
        "printf '%s\\n' '[init]' '\tdefaultBranch = none' '[fetch]' '\trecurseSubmodules = false' "
        "'[credential]' '\tinteractive = never' '[gc]' '\tautoDetach = false' "
        ">\"$gb_template/config\"\n";
    if (hasSite) {
        // So that git finds the credentials even when a script changes HOME.
        text += "git config -f \"$gb_template/config\" include.path \"$GB_HOME_DIR/.gitconfig\"\n";
    }
    text += "git -c init.defaultBranch=none init --template \"$gb_template\" ";
    if (git.objectFormat != "sha1") {
        text += "--object-format " + shellQuoted(git.objectFormat) + " ";
    }
    return text + "\"$GB_PROJECT_DIR\"\ncd -- \"$GB_PROJECT_DIR\"\ngit remote add origin " +
           shellQuoted(git.repoUrl) + "\n" + printGreen("Created fresh repository.");
}

std::string fetch(const gitlab::GitInfo& git, const Settings& settings,
                  const ScriptContext& context) {
    std::string text = "git -c http.userAgent=" + shellQuoted("gridbridge " + context.version) +
                       " fetch origin --no-recurse-submodules";
    text += quotedWords(git.refspecs);
    if (git.depth > 0) {
        text += " --depth " + std::to_string(git.depth);
    }
    return text + quotedWords(settings.gitFetchFlags) + "\n";
}

std::string checkout(const gitlab::GitInfo& git, const Settings& settings, bool hasCredentials) {
    if (!settings.gitCheckout) {
        return printGreen("Skipping Git checkout");
    }
    std::string text = printGreen("Checking out " + git.sha.substr(0, 8) +
                                  " as detached HEAD (ref is " + oneLine(git.ref) + ")...");
    text += "git -c submodule.recurse=false checkout -f -q " + shellQuoted(git.sha) + "\n";
    if (!settings.gitCleanFlags.empty()) {
        text += "git clean" + quotedWords(settings.gitCleanFlags) + "\n";
    }
    if (settings.lfs) {
        text += lfsPull();
    }
    return text + submoduleSetup(settings, hasCredentials);
}

/// The sources become as old as the pipeline: what its earlier jobs made of them is newer, and what
/// was made of others before is not. For git they would be changed then, if it did not look again.
constexpr std::string_view kAge = R"gb(gb_age() {
  local began
  [[ ${CI_PIPELINE_CREATED_AT-} =~ ^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(Z|[+-][0-9]{2}:[0-9]{2})$ ]] &&
    began=$(date -d "$CI_PIPELINE_CREATED_AT" +%s) && [ "$began" -lt "$(date +%s)" ] || {
    echo 'The files of the sources are new: CI_PIPELINE_CREATED_AT is no time that has passed'
    return
  }
  echo "The files of the sources are as old as the pipeline: $CI_PIPELINE_CREATED_AT"
  git ls-files -z "$@" | xargs -0 -r touch -c -h -d "@$began" --
  git update-index -q --refresh
  [ $# = 0 ] || git submodule --quiet foreach --recursive 'git update-index -q --refresh || :'
}
)gb";

std::string agedSources(const Settings& settings) {
    if (!settings.gitCheckout) {
        return {};
    }
    // What --remote takes may have come after the pipeline's earlier jobs.
    const bool deep =
        settings.submodules != SubmoduleStrategy::None && !isOfRemoteBranches(settings);
    return std::string(kAge) + "gb_age" + (deep ? " --recurse-submodules" : "") +
           " 2>/dev/null || :\n";
}

std::string sources(const gitlab::JobDescription& job, const Settings& settings,
                    const ScriptContext& context, bool aged) {
    const auto site = siteOf(job.git.repoUrl);
    auto text = stageHead(settings.debugTrace) +
                "export GIT_TERMINAL_PROMPT=0 GCM_INTERACTIVE=Never\n"
                "export GIT_LFS_SKIP_SMUDGE=\"${GIT_LFS_SKIP_SMUDGE-1}\"\n" +
                credentials(job, settings, site, !context.tlsCa.empty());
    const bool empty = settings.gitStrategy == GitStrategy::Empty;
    if (empty || settings.gitStrategy == GitStrategy::None) {
        text += printGreen(empty ? "Skipping Git repository setup and creating an empty build "
                                   "directory"
                                 : "Skipping Git repository setup");
        text += empty ? emptyProject() : "mkdir -p -- \"$GB_PROJECT_DIR\"\n";
        return text + printGreen("Skipping Git checkout") +
               printGreen("Skipping Git submodules setup");
    }
    if (const auto why = submoduleFault(settings); !why.empty()) {
        return text + failing(why);
    }
    text += emptyProject() + "cd -- \"$GB_BUILDS_DIR\"\n";
    text += scriptItems(hook(job, "pre_get_sources_script"));
    if (settings.lfs && settings.gitCheckout) {
        text += lfsFilters();  // Perhaps that has installed it.
    }
    text += printGreen(job.git.depth > 0 ? "Fetching changes with git depth set to " +
                                               std::to_string(job.git.depth) + "..."
                                         : "Fetching changes...");
    text += initialise(job.git, !site.empty());
    text += fetch(job.git, settings, context) + checkout(job.git, settings, !site.empty());
    text += aged ? agedSources(settings) : "";
    return text + scriptItems(hook(job, "post_get_sources_script"));
}

std::string clearWorktree() {
    return "trap 'exit 1' TERM\n"
           "cd -- \"$GB_PROJECT_DIR\" && [ -d .git ] || exit 0\n"
           "git rm -rf --ignore-unmatch --quiet . || true\n"
           "git clean -ffdx -q || true\n";
}

}  // namespace

Stage getSourcesStage(const gitlab::JobDescription& job, const Settings& settings,
                      const ScriptContext& context, bool aged) {
    return {.phase = Stage::Phase::Prepare,
            .name = "get_sources",
            .title = "Getting source from Git repository",
            .text = sources(job, settings, context, aged),
            // What is wrong in the variables stays wrong.
            .attempts = submoduleFault(settings).empty() ? settings.getSourcesAttempts : 1,
            .repairs = {
                {.phase = Stage::Phase::Prepare,
                 .name = "clear_worktree",
                 .title = "Deleting all tracked and untracked files due to source fetch failure",
                 .text = clearWorktree()}}};
}

}  // namespace gridbridge::payload
