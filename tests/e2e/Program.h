#pragma once

#include <iosfwd>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tests/fakes/LeftOut.h"

namespace gridbridge::testing {

/// What one run of a program printed, and its exit code; 128 + signal when a signal ended it.
struct Printed {
    int exitCode = -1;
    std::string out = {};
    std::string err = {};
    bool operator==(const Printed&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Printed& printed);

/// Runs a program until it ends by itself, at most 100 seconds. `account` other than 0 needs root.
Printed runProgram(std::vector<std::string> argv, uid_t account = 0);
/// As runProgram(), with the executable in front of `arguments`.
Printed runGridbridge(const std::vector<std::string>& arguments, uid_t account = 0);

std::vector<std::string> linesOf(const std::string& text);

}  // namespace gridbridge::testing
