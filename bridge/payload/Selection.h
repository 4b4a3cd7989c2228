#pragma once

#include <cstddef>
#include <string>

#include "bridge/payload/ArtifactPlan.h"

namespace gridbridge::payload {

/// What a list may hold beyond what the paths name.
enum class Listing {
    Possible,  ///< A little, where one expression cannot tell: the service decides.
    Exact,     ///< Nothing. What cannot be told is left out with a warning, as what lies below a
               ///< link is: whoever unpacks it would need a folder there.
};

/// How a stage begins that packs files of the project folder: goes there, makes a folder `gb_tmp`,
/// and defines gb_tar, which packs the list of a selection(), and what that needs.
std::string selectionFunctions(bool expandsOnNode, Listing listing);

/// Lists in `$gb_tmp/list` what the entry's paths and `untracked` bring in, and fills gb_texts.
/// For a shell with `set -eo pipefail`, which it ends when that fails.
std::string selection(const gitlab::ArtifactEntry& entry, const ArtifactPlan& plan,
                      Listing listing);

/// A word: that text of textsOf(), as the shell expanded it.
std::string selectedText(std::size_t number);

/// Defines gb_is_behind, for names that begin with `./`: whether one lies below a link.
std::string behindFunction();

}  // namespace gridbridge::payload
