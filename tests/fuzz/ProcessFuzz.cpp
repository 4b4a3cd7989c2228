#include <string>
#include <vector>

#include "bridge/folder/ProcessTable.h"
#include "tests/fuzz/Fuzz.h"

// Input: a line of /proc/PID/stat; or the name that a process has given itself, in a good one.

namespace gridbridge::fuzz {

namespace {

/// The words behind the name.
std::vector<std::string> words(std::string_view line) {
    std::vector<std::string> found{""};
    for (const char c : line.substr(line.rfind(')') + 1)) {
        if (c != ' ' && c != '\n') {
            found.back() += c;
        } else if (!found.back().empty()) {
            found.emplace_back();
        }
    }
    return found;
}

}  // namespace

void tryWith(std::string_view input) {
    if (const auto stat = folder::parseProcessStat(input)) {
        const auto fields = words(input);
        require(fields.size() >= 20, "all that is read is there");
        require(fields[0] == std::string(1, stat->state), "the state is the first word");
        require(std::stoll(fields[3]) == stat->session, "the session is the fourth word");
        require(std::stoull(fields[19]) == stat->startTicks, "the start is the twentieth word");
    }
    const auto name = std::string(input.substr(0, 15));
    const auto stat = folder::parseProcessStat(
        "4711 (" + name + ") S 1 4700 4701 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10\n");
    require(stat == folder::ProcessStat{'S', 4701, 123456, true}, "a name changes nothing");
}

}  // namespace gridbridge::fuzz
