#pragma once

#include <string>

namespace gridbridge::payload {

/// Before the checkout: git knows how to treat files of Git LFS, where the node has git-lfs.
std::string lfsFilters();

/// In the folder of a repository, or for `git submodule foreach`: its files of Git LFS are fetched,
/// or a line of the log says that they cannot be. Leaves the shell when it fails.
std::string lfsPull();

}  // namespace gridbridge::payload
