#pragma once

#include "bridge/app/ConfigSection.h"
#include "bridge/http/TlsFiles.h"

namespace gridbridge::app {

/// Takes `tls_ca_file`, `tls_cert_file` and `tls_key_file`. Reports what is wrong with the files.
http::TlsFiles takeTls(ConfigSection& section);

/// The required key `url` of a server that gets tokens; reports what is wrong with it.
std::string takeHttpsUrl(ConfigSection& section, const std::string& missingCure);

}  // namespace gridbridge::app
