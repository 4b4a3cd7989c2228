#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace gridbridge::app {

/// The command `register-runner` of the Python package gitlab_runner_api: same arguments, same
/// file, same lines on `err` without the token. `arguments` without the program's name; returns
/// the exit code.
int registerForFile(const std::vector<std::string>& arguments, std::ostream& out,
                    std::ostream& err);

}  // namespace gridbridge::app
