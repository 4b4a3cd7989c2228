#include "tests/e2e/Program.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <unistd.h>

#include "bridge/base/Process.h"

extern char** environ;

namespace gridbridge::testing {

std::ostream& operator<<(std::ostream& out, const Printed& printed) {
    return out << "exit code " << printed.exitCode << "\nout: " << printed.out
               << "\nerr: " << printed.err;
}

Printed runProgram(std::vector<std::string> argv, uid_t account) {
    constexpr auto kLimit = std::chrono::seconds(100);
    constexpr std::size_t kMostOutput = 16U << 20U;
    if (account != 0) {
        const auto id = std::to_string(account);
        argv.insert(argv.begin(),
                    {"/usr/bin/setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups"});
    }
    Command command{.argv = std::move(argv)};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        command.environment.emplace_back(*variable);
    }
    SystemClock clock;
    const auto ended =
        PosixProcessRunner(clock).run(command, {clock.steadyNow() + kLimit}, kMostOutput);
    if (!ended.ok()) {
        ADD_FAILURE() << command.argv.front() << ": " << ended.error().message;
        return {};
    }
    return {ended->exitCode.value_or(128 + ended->signal.value_or(0)), ended->out, ended->err};
}

Printed runGridbridge(const std::vector<std::string>& arguments, uid_t account) {
    std::vector<std::string> argv{GRIDBRIDGE_EXECUTABLE};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return runProgram(std::move(argv), account);
}

std::vector<std::string> linesOf(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

}  // namespace gridbridge::testing
