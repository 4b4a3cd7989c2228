#pragma once

#include <string>

#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// Removes up to a thousand entries of the folder `name` of the folder `dir`, whatever its owner
/// made of it, and with the last one the folder itself: links are removed, never followed; depth
/// and number of files cost neither stack nor descriptors; folders without permissions are opened
/// where they are our own. True when nothing of it is left. `label` names it in errors.
Result<bool> removeSome(int dir, const std::string& name, const std::string& label);

}  // namespace gridbridge::folder
