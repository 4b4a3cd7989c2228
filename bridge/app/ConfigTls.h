#pragma once

#include "bridge/app/ConfigSection.h"

namespace gridbridge::app {

/// Takes `tls_ca_file`, `tls_cert_file` and `tls_key_file` of a `[[runners]]` section. Reports what
/// is wrong with the files.
void takeTls(ConfigSection& section, RunnerConfig& runner);

}  // namespace gridbridge::app
