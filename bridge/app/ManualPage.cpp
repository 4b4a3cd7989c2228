#include "bridge/app/ManualPage.h"

#include <CLI/CLI.hpp>

namespace gridbridge::app {

namespace {

void addOptions(const CLI::App& app, std::vector<CommandHelp::Option>& options) {
    for (const CLI::Option* option : app.get_options()) {
        const bool positional = option->get_positional();
        const bool flag = option->get_expected_max() == 0;
        if (positional || option != app.get_help_ptr()) {
            const std::string type = option->get_type_name();
            options.push_back(
                {positional ? option->get_name(true) : "--" + option->get_lnames().at(0),
                 positional || flag ? "" : type.substr(type.find(':') + 1),
                 option->get_description(), option->get_required(), positional});
        }
    }
    for (const CLI::App* group : app.get_subcommands({})) {
        addOptions(*group, options);
    }
}

}  // namespace

CommandHelp helpOf(const CLI::App& command) {
    CommandHelp help{.name = command.get_name(),
                     .what = command.get_description(),
                     .options = {},
                     .example = command.get_footer()};
    addOptions(command, help.options);
    return help;
}

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

std::string pageBegin(const std::string& name, const std::string& what) {
    return ".TH " + roff(name) +
           " 1 \"\" \"gridbridge " GRIDBRIDGE_VERSION "\" \"User Commands\"\n.SH NAME\n" +
           roff(name + " - " + what) + "\n.SH SYNOPSIS\n";
}

std::string synopsis(const std::string& words, const CommandHelp& command) {
    std::string text = ".B " + roff(words) + "\n";
    for (const auto& option : command.options) {
        const auto usage = option.name + (option.argument.empty() ? "" : " " + option.argument);
        text += option.required ? roff(usage) + "\n" : "[" + roff(usage) + "]\n";
    }
    return text + ".br\n";
}

std::string described(const CommandHelp& command) {
    std::string text = roff(command.what) + "\n";
    for (const auto& option : command.options) {
        text += ".TP\n.B " + roff(option.name) +
                (option.argument.empty() ? "" : " \\fI" + roff(option.argument) + "\\fR") + "\n" +
                roff(option.what) + "\n";
    }
    return text + ".PP\n.nf\n" + roff(command.example) + "\n.fi\n";
}

std::string programPage(const CommandHelp& program, const std::string& what) {
    return pageBegin(program.name, what) + synopsis(program.name, program) + ".SH DESCRIPTION\n" +
           described(program);
}

}  // namespace gridbridge::app
