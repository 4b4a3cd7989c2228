#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace gridbridge::testing {

/// Certificate and key, as PEM.
struct CertificateFiles {
    std::filesystem::path certificate;
    std::filesystem::path key;  ///< Mode 0600.
};

/// Writes a certificate that ends after `life`, or did so long ago as that is negative. `names` as
/// in `DNS:localhost,IP:127.0.0.1`. Without `authority` it is its own, and may sign others. Throws
/// std::runtime_error.
void writeCertificate(const std::string& names, const CertificateFiles& files,
                      const CertificateFiles* authority = nullptr,
                      std::chrono::seconds life = std::chrono::hours(24));

}  // namespace gridbridge::testing
