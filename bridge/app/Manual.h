#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace gridbridge::app {

/// One command as `--help` describes it, without that option itself.
struct CommandHelp {
    struct Option {
        std::string name;      ///< `--all`, or `JOB` of an argument without one.
        std::string argument;  ///< What follows it, `{a,b}` where only these; empty = nothing.
        std::string what;
        bool required = false;
        bool positional = false;
    };
    std::string name;
    std::string what;
    std::vector<Option> options;
    std::string example;  ///< One or more lines.
};

/// What `--help` says of a command, or of a program of one command.
CommandHelp helpOf(const CLI::App& command);

/// Every command, in the order of `--help`.
std::vector<CommandHelp> commandHelp();

/// The program `register-runner`.
CommandHelp registerRunnerHelp();

/// gridbridge(1), in the language of man(7).
std::string manualPage();
/// register-runner(1)
std::string registerRunnerPage();
/// For bash, to be sourced: both programs.
std::string bashCompletion();

}  // namespace gridbridge::app
