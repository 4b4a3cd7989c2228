#include "bridge/app/Manual.h"

namespace gridbridge::app {

namespace {

/// Text between the requests of a page: what roff would read as its own is escaped.
std::string roff(const std::string& text) {
    std::string result;
    bool lineStart = true;
    for (const char c : text) {
        if (c == '\\') {
            result += "\\e";
        } else if (c == '-') {
            result += "\\-";
        } else if (lineStart && (c == '.' || c == '\'')) {
            result += std::string("\\&") + c;
        } else {
            result += c;
        }
        lineStart = c == '\n';
    }
    return result;
}

std::string synopsis(const CommandHelp& command) {
    std::string text = ".B gridbridge " + command.name + "\n";
    for (const auto& option : command.options) {
        const auto words = option.name + (option.argument.empty() ? "" : " " + option.argument);
        text += option.required ? roff(words) + "\n" : "[" + roff(words) + "]\n";
    }
    return text + ".br\n";
}

std::string section(const CommandHelp& command) {
    std::string text = ".SS " + command.name + "\n" + roff(command.what) + "\n";
    for (const auto& option : command.options) {
        text += ".TP\n.B " + roff(option.name) +
                (option.argument.empty() ? "" : " \\fI" + roff(option.argument) + "\\fR") + "\n" +
                roff(option.what) + "\n";
    }
    return text + ".PP\n.nf\n" + roff(command.example) + "\n.fi\n";
}

}  // namespace

std::string manualPage() {
    std::string text = ".TH GRIDBRIDGE 1 \"\" \"gridbridge " GRIDBRIDGE_VERSION
                       "\" \"User Commands\"\n"
                       ".SH NAME\ngridbridge \\- GitLab CI jobs on batch systems\n.SH SYNOPSIS\n";
    for (const auto& command : commandHelp()) {
        text += synopsis(command);
    }
    text += ".SH COMMANDS\n";
    for (const auto& command : commandHelp()) {
        text += section(command);
    }
    return text +
           ".SH EXIT STATUS\n0 well, 1 the thing asked for failed, 2 usage, 74 input or output, 75 "
           "trying again later can help, 78 configuration.\n"
           ".SH FILES\n.TP\n.I /etc/gridbridge/config.toml\nThe configuration; files in config.d "
           "beside it may add runners and backends.\n"
           ".TP\n.I /var/lib/gridbridge\nDatabase, key, logs and lock of the service "
           "(state_dir).\n"
           ".SH SEE ALSO\nconfiguration.md and operations.md in the documents of the package\n";
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
           "    if [ \"${COMP_WORDS[COMP_CWORD-1]}\" = --config ]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "        return\n"
           "    fi\n"
           "    case ${COMP_WORDS[1]} in\n" +
           cases +
           "    esac\n"
           "    [ \"$COMP_CWORD\" -gt 1 ] || words=\"" +
           names +
           " --help\"\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -F _gridbridge gridbridge\n";
}

}  // namespace gridbridge::app
