#pragma once

#include <cstddef>
#include <string>

#include "bridge/payload/ArtifactPlan.h"

namespace gridbridge::payload {

/// How a stage begins that packs files of the project folder: goes there, makes a folder `gb_tmp`,
/// and defines gb_tar, which packs the list of a selection(), and what that needs.
std::string selectionFunctions(bool expandsOnNode);

/// Lists in `$gb_tmp/list` what the entry's paths and `untracked` may bring in, and fills gb_texts.
/// For a shell with `set -eo pipefail`, which it ends when that fails.
std::string selection(const gitlab::ArtifactEntry& entry, const ArtifactPlan& plan);

/// A word: that text of textsOf(), as the shell expanded it.
std::string selectedText(std::size_t number);

}  // namespace gridbridge::payload
