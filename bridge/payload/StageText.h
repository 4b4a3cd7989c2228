#pragma once

#include <string>
#include <vector>

namespace gridbridge::payload {

/// What the texts of several stages have in common.

/// How a stage begins that knows the job's variables.
std::string stageHead(bool debugTrace);

/// Prints it as an error and ends the stage.
std::string failing(const std::string& why);

/// Defines gb_unpack, which lets tar, told by its words (`-xzf FILE`), unpack over the project
/// folder: what was there under the same name, also a link, is replaced. No file is written where a
/// link leads, as long as each folder of the tarball stands in it before what lies in that.
std::string unpackFunction();

/// The lines of a script; each item is printed before it runs.
std::string scriptItems(const std::vector<std::string>& script);

}  // namespace gridbridge::payload
