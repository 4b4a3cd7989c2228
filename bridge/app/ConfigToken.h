#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// Takes the server and the token of a `[[runners]]` section: keys `url`, and one of `token`,
/// `token_file`, `runner_file`. Reports what is wrong with them.
void takeServerAndToken(ConfigSection& section, RunnerConfig& runner);

}  // namespace gridbridge::app
