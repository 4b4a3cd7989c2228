#include "bridge/app/Manual.h"

#include <algorithm>
#include <map>

namespace gridbridge::app {

namespace {

constexpr auto kEnvironment =
    ".SH ENVIRONMENT\n.TP\n.B HTTPS_PROXY, HTTP_PROXY\nThe proxy to https:// and http:// servers, "
    "http://NAME:PASSWORD@HOST:PORT; small letters do too.\n.TP\n.B NO_PROXY\nHosts, domains, "
    "addresses and networks that are reached without it, with commas.\n";

constexpr auto kExitStatus =
    ".SH EXIT STATUS\n0 well, 1 the thing asked for failed, 2 usage, 74 input or output, 75 "
    "trying again later can help, 78 configuration.\n";

/// Shell: what may follow the options that take one of a few words, by option.
std::string choices() {
    std::map<std::string, std::string> found;
    for (const auto& command : commandHelp()) {
        for (const auto& option : command.options) {
            if (option.argument.starts_with('{')) {
                auto words = option.argument.substr(1, option.argument.size() - 2);
                std::replace(words.begin(), words.end(), ',', ' ');
                found[option.name] = words;
            }
        }
    }
    std::string cases;
    for (const auto& [option, words] : found) {
        cases += "        " + option + ") mapfile -t COMPREPLY < <(compgen -W \"" + words +
                 "\" -- \"$word\"); return ;;\n";
    }
    return cases;
}

std::string registerRunnerCompletion() {
    std::string options;
    for (const auto& option : registerRunnerHelp().options) {
        options += option.positional ? "" : option.name + " ";
    }
    return "_register_runner() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]}\n"
           "    if [[ $word == -* ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"" +
           options +
           "--help\" -- \"$word\")\n"
           "    else\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "    fi\n"
           "}\n"
           "complete -F _register_runner register-runner\n";
}

}  // namespace

std::string manualPage() {
    auto text = pageBegin("gridbridge", "GitLab CI jobs on batch systems");
    for (const auto& command : commandHelp()) {
        text += synopsis("gridbridge " + command.name, command);
    }
    text += ".SH COMMANDS\n";
    for (const auto& command : commandHelp()) {
        text += ".SS " + command.name + "\n" + described(command);
    }
    return text + kEnvironment + kExitStatus +
           ".SH FILES\n.TP\n.I /etc/gridbridge/config.toml\nThe configuration; files in config.d "
           "beside it may add runners and backends.\n"
           ".TP\n.I /var/lib/gridbridge\nDatabase, key, logs and lock of the service "
           "(state_dir).\n"
           ".SH SEE ALSO\nconfiguration.md and operations.md in the documents of the package\n";
}

std::string registerRunnerPage() {
    return programPage(registerRunnerHelp(), "makes a file for runner_file of gridbridge") +
           kEnvironment + kExitStatus + ".SH SEE ALSO\n.BR gridbridge (1)\n";
}

std::string bashCompletion() {
    std::string names;
    std::string cases;
    for (const auto& command : commandHelp()) {
        names += (names.empty() ? "" : " ") + command.name;
        cases += "        " + command.name + ") words=\"";
        for (const auto& option : command.options) {
            cases += option.positional ? "" : option.name + " ";
        }
        cases += "--help\" ;;\n";
    }
    return "_gridbridge() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
           "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
           "        --config|--*-file) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return "
           ";;\n" +
           choices() +
           "    esac\n"
           "    case ${COMP_WORDS[1]} in\n" +
           cases +
           "    esac\n"
           "    [ \"$COMP_CWORD\" -gt 1 ] || words=\"" +
           names +
           " --help\"\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -F _gridbridge gridbridge\n" +
           registerRunnerCompletion();
}

}  // namespace gridbridge::app
