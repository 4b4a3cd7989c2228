#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace gridbridge::http {

/// Files for TLS, PEM each; an empty path = none.
struct TlsFiles {
    std::filesystem::path ca = {};    ///< Trusted besides the system's authorities.
    std::filesystem::path cert = {};  ///< What the client shows a server that asks for it,
    std::filesystem::path key = {};   ///< and the key to it, without a passphrase.
    bool operator==(const TlsFiles&) const = default;
};

/// Why the files cannot be used.
struct TlsFault {
    enum class File { Ca, Cert, Key };
    File file = File::Ca;  ///< The one to be changed.
    std::string what = {};
    std::string cure = {};
};

/// The first thing wrong with the files; a key that every account can read is wrong. Blocks for
/// the reading. The key's content is in no text.
std::optional<TlsFault> faultIn(const TlsFiles& files);

}  // namespace gridbridge::http
