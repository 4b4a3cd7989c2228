#pragma once

#include <string>

#include "bridge/payload/Settings.h"

namespace gridbridge::payload {

/// Why get_sources must fail before it fetches anything (job-execution 2.6); empty = no reason.
std::string submoduleFault(const Settings& settings);

/// Whether submodules are at what their branches hold now, not at what the project names.
bool isOfRemoteBranches(const Settings& settings);

/// What get_sources does after the checkout (job-execution 3.4), in the project's folder. With
/// `hasCredentials` git finds them in `$GB_HOME_DIR/.gitconfig`.
std::string submoduleSetup(const Settings& settings, bool hasCredentials);

}  // namespace gridbridge::payload
