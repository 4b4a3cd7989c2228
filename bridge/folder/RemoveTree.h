#pragma once

#include <string>

#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// Removes the folder `name` of the folder `dir` and all below it, whatever its owner made of
/// it: links are removed, never followed; depth and number of files cost neither stack nor
/// descriptors; folders without permissions are opened where they are our own. Well when it is
/// absent. `label` names it in errors.
Result<void> removeTree(int dir, const std::string& name, const std::string& label);

}  // namespace gridbridge::folder
