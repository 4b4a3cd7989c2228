#pragma once

#include <string>
#include <vector>

namespace gridbridge::payload {

/// What the texts of several stages have in common.

/// How a stage begins that knows the job's variables.
std::string stageHead(bool debugTrace);

/// Prints it as an error and ends the stage.
std::string failing(const std::string& why);

/// The lines of a script; each item is printed before it runs.
std::string scriptItems(const std::vector<std::string>& script);

}  // namespace gridbridge::payload
