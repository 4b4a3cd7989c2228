#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// Whose account the jobs of a backend get (design: a job never runs as one that can read our
/// files). What is wrong is reported to the section.
void takeAccounts(ConfigSection& section, BackendConfig& backend, const Host& host);

/// The key that names this account of the backend's jobs.
const char* accountKey(const BackendConfig& backend, const std::string& account);

}  // namespace gridbridge::app
