#pragma once

#include <filesystem>
#include <string>

namespace gridbridge::testing {

/// Writes a certificate of one day that is its own authority, and its key, as PEM. `names` as in
/// `DNS:localhost,IP:127.0.0.1`. Throws std::runtime_error.
void writeCertificate(const std::string& names, const std::filesystem::path& certificate,
                      const std::filesystem::path& key);

}  // namespace gridbridge::testing
