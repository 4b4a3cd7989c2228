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

/// Text between the requests of a page: what roff would read as its own is escaped.
std::string roff(const std::string& text);

/// Parts of a page in section 1, in the language of man(7): its head up to the synopsis, one line
/// of that for `words` with these options, and what the options do.
std::string pageBegin(const std::string& name, const std::string& what);
std::string synopsis(const std::string& words, const CommandHelp& command);
std::string described(const CommandHelp& command);

/// The page of a program of one command, up to its options; other sections may follow.
std::string programPage(const CommandHelp& program, const std::string& what);

}  // namespace gridbridge::app
