#include "bridge/payload/Container.h"

#include <algorithm>
#include <map>

#include "bridge/payload/Glob.h"
#include "bridge/payload/ImageLogin.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

constexpr int kPullAttempts = 2;
constexpr std::string_view kBuildsInside = "/builds";

// The shell in the container is its first process, to which no default action of a signal applies,
// and signals reach it alone. What it got of them it hands on to all of the stage. In some runtimes
// it shares the process group with what runs outside, which has had the signal then.
constexpr std::string_view kFunctions = R"gb(
gb_stop_limit=30  # seconds that the runtime may need to remove a container
gb_is_inside() { case $1 in step_* | after_script) ;; *) return 1 ;; esac; }
gb_quoted() {
  local quote="'" escaped="'\\''"
  printf "%s='%s'\nexport %s\n" "$1" "${!1//$quote/$escaped}" "$1"
}
# gb_entry NAME: what the container begins with, in any shell. The first thing tells that it began.
gb_entry() {
  local name GB_BUILDS_DIR=${GB_INSIDE_DIR%"/$gb_slug"} GB_PROJECT_DIR=$GB_INSIDE_DIR
  local GB_TMP_DIR=$GB_INSIDE_DIR.tmp
  for name in GB_IN GB_CTL GB_HOME_DIR GB_BUILDS_DIR GB_PROJECT_DIR GB_TMP_DIR GB_JOB_STATUS HOME; do
    gb_quoted "$name"
  done
  printf 'gb_stage=%s\n' "$1"
  cat <<'gb-end-of-entry'
: >"$GB_CTL/entered"
echo '   ' >"$GB_CTL/ended"  # Room for the code, which a full disk has then, too.
umask 022
unset BASH_ENV ENV
gb_told=
trap 'gb_told=143; trap "" TERM; kill -TERM 0' TERM
if command -v bash >/dev/null 2>&1; then gb_shell=bash; else gb_shell=sh; fi
(trap - INT QUIT TERM; exec "$gb_shell" "$GB_IN/$gb_stage.sh") 2>&1 &
gb_child=$!
while :; do
  wait "$gb_child"
  gb_code=$?
  kill -0 "$gb_child" 2>/dev/null || break
done
[ "$gb_code" != 0 ] || gb_code=${gb_told:-0}  # Of a wait that a signal ended ash loses the code.
echo "$gb_code" 1<>"$GB_CTL/ended"
exit "$gb_code"
gb-end-of-entry
}
# gb_has_ended: whether the script has; sets gb_inner to its code. A job may have put a pipe there.
gb_has_ended() {
  gb_inner=
  [ -f "$GB_CTL/ended" ] && read -r gb_inner <"$GB_CTL/ended"
  case $gb_inner in [0-9] | [1-9][0-9] | 1[0-9][0-9] | 2[0-4][0-9] | 25[0-5]) ;; *) return 1 ;; esac
}
# gb_await_inside NAME PID WATCH: a signal may end podman's first process before the script, while
# another one still hands on what that prints. It has a second more when the script has ended, or the
# batch system wants us gone; else as long as the watch allows.
gb_await_inside() {
  local n
  gb_is_inside "$1" || return 0
  for ((n = 0; n < 20; n++)); do
    kill -0 -- "-$2" && kill -0 "$3" || return
    [ -s "$GB_CTL/term" ] || gb_has_ended || n=0
    gb_pause 0.05
  done
}
# A signal may end podman alone, with the code 0: that is believed of the script alone.
gb_code_inside() {
  gb_is_inside "$1" && [ "$gb_rc" = 0 ] || return 0
  if gb_has_ended; then gb_rc=$gb_inner; else gb_rc=143; fi
  [ "$gb_rc" != 0 ] || [ ! -s "$GB_CTL/unbegun" ] || {
    printf '\033[31;1mERROR: the shell of the image ended before the first line of the job\033[0;m\n'
    gb_rc=1
  }
}
gb_start_inside() {
  gb_container_name=${gb_root##*/}.$1
  rm -rf -- "$GB_CTL/entered" "$GB_CTL/ended" "$GB_CTL/entry"
  gb_entry "$1" >"$GB_CTL/entry" && gb_run_container 2>&1 9<&-
  exit 1
}
# gb_take_back: what a container leaves of other owners is the account's: it is collected, and removed.
gb_take_back() {
  [ -z "$(find "$gb_root" ! -user "$(id -u)" -print -quit)" ] || gb_own_container "$gb_root"
}
gb_ended() {
  gb_container_name=${gb_root##*/}.$1
  ! gb_is_inside "$1" || gb_take_back >/dev/null
  case $1 in
    pull_image) [ "$gb_rc" = 0 ] || gb_why=${gb_why:-image_failed} ;;
    step_* | after_script)
      [ "$gb_rc" != 0 ] || [ -n "$gb_why" ] || return
      gb_stop_container >/dev/null
      [ -n "$gb_why" ] || [ -e "$GB_CTL/entered" ] || {
        printf '\033[31;1mERROR: the container of this job did not start\033[0;m\n'
        gb_why=image_failed gb_began=
      } ;;
  esac
}
)gb";

/// A runtime keeps its images in the account's home, and podman remembers for ever where the first
/// job had its temporary files; those of a job are its own, and gone at its end. There belongs what
/// apptainer unpacks, a whole image, which it leaves when it is killed.
constexpr std::string_view kHome =
    "HOME=$(unset HOME; echo ~) TMPDIR=/tmp APPTAINER_TMPDIR=${GB_CTL%/*} ";

bool isPlain(std::string_view name) {
    constexpr std::size_t kLongest = 512;
    const auto alnum = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= kLongest && (alnum(name.front()) || name[0] == '/') &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return alnum(c) || std::string_view("/._-:@+=").find(c) != std::string_view::npos;
           });
}

/// What no registry has.
bool isOfTheNode(const std::string& name) {
    return name.starts_with("/") || name.starts_with("localhost/");
}

/// `name` with its registry, so that no runtime takes it for something else: a short name or that
/// of another transport (`containers-storage:`) may be an image that another job has pulled. None =
/// it is of another transport.
std::optional<std::string> fullName(std::string name) {
    constexpr std::string_view kDocker = "docker://";
    if (name.starts_with(kDocker)) {
        name.erase(0, kDocker.size());
    } else if (isOfTheNode(name)) {
        return name;
    }
    const auto slash = name.find('/');
    if (slash == std::string::npos) {
        return "docker.io/library/" + name;
    }
    const auto host = name.substr(0, slash);
    const auto colon = host.find(':');
    if (colon != std::string::npos) {
        const bool isPort = colon > 0 && colon + 1 < host.size() &&
                            host.find_first_not_of("0123456789", colon + 1) == std::string::npos;
        return isPort ? std::optional(name) : std::nullopt;
    }
    const bool isHost = host == "localhost" || host.find('.') != std::string::npos;
    return isHost ? name : "docker.io/" + name;
}

/// Whether a pattern is that of the image, as the job wrote it or by its whole name.
bool isAllowed(const std::vector<std::string>& patterns, const std::string& asked,
               const std::string& name) {
    // `..` would lead out of a folder of images.
    return patterns.empty() ||
           (("/" + name + "/").find("/../") == std::string::npos &&
            std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
                const auto glob = Glob::parse(pattern);
                return glob && (glob->matches(asked) || glob->matches(name));
            }));
}

std::string listed(const std::vector<std::string>& texts) {
    std::string list;
    for (const auto& text : texts) {
        list += (list.empty() ? "" : ", ") + text;
    }
    return list;
}

/// What stands for `{name}`: parts of bash words, each a word of its own. None = the word is left
/// out.
using Holes = std::map<std::string, std::vector<std::string>, std::less<>>;

/// `word` as bash words: as many as its first hole has values. What is no hole stands for itself.
std::string filled(std::string_view word, const Holes& holes) {
    for (auto open = word.find('{'); open != std::string_view::npos;
         open = word.find('{', open + 1)) {
        const auto close = word.find('}', open);
        const auto hole = close == std::string_view::npos
                              ? holes.end()
                              : holes.find(word.substr(open + 1, close - open - 1));
        if (hole == holes.end()) {
            continue;
        }
        std::string text;
        for (const auto& value : hole->second) {
            std::string whole;
            for (auto rest = word; !rest.empty();) {
                const auto at = rest.find(word.substr(open, close + 1 - open));
                whole += shellQuoted(rest.substr(0, at));
                if (at == std::string_view::npos) {
                    break;
                }
                whole += value;
                rest.remove_prefix(at + close + 1 - open);
            }
            text += " " + whole;
        }
        return text;
    }
    return " " + shellQuoted(word);
}

std::string command(const std::vector<std::string>& words, const Holes& holes) {
    std::string text;
    for (const auto& word : words) {
        text += filled(word, holes);
    }
    return text;
}

Holes holesOf(const gitlab::Image& image, const std::string& name,
              const ContainerCommands& commands) {
    Holes holes{{"name", {"\"$gb_container_name\""}},
                {"workdir", {"\"$GB_INSIDE_DIR\""}},
                {"builds", {"\"$GB_BUILDS_DIR\""}},
                {"file", {"\"${GB_CTL%/*}/image.sif\""}},
                {"auth", {}},
                {"image", {shellQuoted(name)}},
                {"entrypoint", {}},
                {"binds", {"\"${GB_CTL%/*}\"", "\"$GB_IN\""}}};
    if (!image.entrypoint.empty()) {
        holes["entrypoint"] = {"''"};
    }
    for (const auto& folder : commands.binds) {
        holes["binds"].push_back(shellQuoted(folder));
    }
    return holes;
}

bool hasHole(const std::vector<std::string>& words, std::string_view hole) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return word.find(hole) != std::string::npos;
    });
}

Stage pullStage(const std::vector<std::string>& words, Holes holes, bool hasLogins) {
    const auto logins = "\"$GB_IN/" + std::string(kLoginsFile) + "\"";
    if (hasLogins) {
        holes["auth"] = {logins};
    }
    return {.phase = Stage::Phase::Prepare,
            .name = "pull_image",
            .title = "Pulling container image",
            .text = "trap 'exit 1' TERM\nset -e\n" + std::string(kHome) + command(words, holes) +
                    "\nrm -f -- " + logins + "\n",
            .attempts = kPullAttempts};
}

/// Of the wrapper; `inside` are the words behind the image's name, without the file.
std::string functionsOf(const ContainerCommands& commands, const Holes& holes,
                        const std::vector<std::string>& inside) {
    // Elsewhere in the container the builds are where they are on the node.
    const std::string place = hasHole(commands.run, "{builds}")
                                  ? "GB_INSIDE_DIR=" + std::string(kBuildsInside) + "/$gb_slug\n"
                                  : "";
    return std::string(kFunctions) + place + "gb_run_container() { " + std::string(kHome) + "exec" +
           command(commands.run, holes) + quotedWords(inside) +
           " \"$GB_CTL/entry\"; }\ngb_stop_container() { " +
           (commands.stop.empty() ? std::string(":")
                                  : std::string(kHome) + "timeout -k 5 \"$gb_stop_limit\"" +
                                        command(commands.stop, holes)) +
           "; }\ngb_own_container() { " +
           (commands.own.empty() ? std::string(":")
                                 : std::string(kHome) + "timeout -k 5 600" +
                                       command(commands.own, holes) + " \"$1\"") +
           "; }\n";
}

}  // namespace

ContainerCommands containerPreset(std::string_view name) {
    if (name == kPodman) {
        // No journal or file on the node keeps what the job prints: it is not masked yet. Root of
        // the container is the account of the job. A proxy of the node may hold a password.
        return {.run = {"podman", "run", "--rm", "--name={name}", "--pull=never",
                        "--log-driver=none", "--user=0", "--network=host", "--http-proxy=false",
                        "--security-opt=label=disable", "--volume={binds}:{binds}",
                        "--volume={builds}:/builds", "--workdir={workdir}",
                        "--entrypoint={entrypoint}", "{image}"},
                .pull = {"podman", "pull", "--quiet", "--authfile={auth}", "docker://{image}"},
                .stop = {"podman", "rm", "--force", "--ignore", "--time=0", "{name}"},
                .own = {"podman", "unshare", "chown", "-hR", "0:0"}};
    }
    return {
        .run = {"apptainer", "--quiet", "exec", "--containall", "--cleanenv", "--writable-tmpfs",
                "--bind={binds}", "--bind={builds}:/builds", "--pwd={workdir}", "{image}"},
        .pull = {"apptainer", "--quiet", "pull", "--force", "--authfile={auth}", "{file}",
                 "docker://{image}"},
    };
}

Result<Container> containerOf(const gitlab::JobDescription& job, const ContainerCommands& commands,
                              const std::vector<std::string>& allowed, const Variables& variables) {
    constexpr std::size_t kLongest = 4096;
    if (job.image.name.empty() || commands.run.empty()) {
        return Container();
    }
    const auto& image = job.image;
    auto budget = kLongest;
    const auto asked = plainText(variables.expand(image.name, budget));
    const auto name = isPlain(asked) ? fullName(asked) : std::nullopt;
    if (!name) {
        return permanentError("the name of the image is none: " + oneLine(asked));
    }
    if (!isAllowed(allowed, asked, *name)) {
        return permanentError("this runner does not allow the image " + asked +
                              ", only images like " + listed(allowed));
    }
    Container container{.image = *name};
    auto inside = image.entrypoint == std::vector<std::string>{""} ? std::vector<std::string>()
                                                                   : image.entrypoint;
    const auto hasNul = [](const std::string& word) {
        return word.find('\0') != std::string::npos;
    };
    if (std::any_of(inside.begin(), inside.end(), hasNul)) {
        return permanentError("the entrypoint of the image contains a NUL byte");
    }
    inside.emplace_back("sh");
    auto holes = holesOf(image, container.image, commands);
    if (!commands.pull.empty() && !isOfTheNode(container.image)) {
        container.logins = imageLogin(job, container.image, variables);
        container.pull = pullStage(commands.pull, holes, !container.logins.empty());
        if (hasHole(commands.pull, "{file}")) {
            holes["image"] = holes["file"];
        }
    }
    container.functions = functionsOf(commands, holes, inside);
    return container;
}

}  // namespace gridbridge::payload
