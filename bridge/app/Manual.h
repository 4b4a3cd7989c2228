#pragma once

#include <string>
#include <vector>

#include "bridge/app/ManualPage.h"

namespace gridbridge::app {

/// Every command, in the order of `--help`.
std::vector<CommandHelp> commandHelp();

/// The program `register-runner`.
CommandHelp registerRunnerHelp();

/// gridbridge(1), in the language of man(7).
std::string manualPage();
/// register-runner(1)
std::string registerRunnerPage();
/// For bash, to be sourced: both programs.
std::string bashCompletion();

}  // namespace gridbridge::app
