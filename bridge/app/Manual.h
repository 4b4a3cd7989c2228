#pragma once

#include <string>
#include <vector>

namespace gridbridge::app {

/// One command as `--help` describes it, without that option itself.
struct CommandHelp {
    struct Option {
        std::string name;      ///< `--all`, or `JOB` of an argument without one.
        std::string argument;  ///< What follows it; empty = nothing.
        std::string what;
        bool required = false;
        bool positional = false;
    };
    std::string name;
    std::string what;
    std::vector<Option> options;
    std::string example;  ///< One or more lines.
};

/// Every command, in the order of `--help`.
std::vector<CommandHelp> commandHelp();

/// gridbridge(1), in the language of man(7).
std::string manualPage();
/// For bash, to be sourced.
std::string bashCompletion();

}  // namespace gridbridge::app
