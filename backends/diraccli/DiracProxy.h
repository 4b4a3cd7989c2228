#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"

namespace gridbridge {

/// Whose proxy it is, as `dirac-proxy-init` makes them: RFC 3820, with the group in the extension
/// 1.2.42.42. Only DIRAC verifies it.
struct DiracProxy {
    std::string user;   ///< The subject of the certificate that stands behind it.
    std::string group;  ///< Empty: none.
    WallTime end{};     ///< The first of its certificates that ends does so then.
    Secret pem = {};    ///< All that the file held when it was read.
};

/// Of what a proxy file holds, without `pem`. Nothing when that is none.
std::optional<DiracProxy> parseDiracProxy(std::string_view pem);

/// The proxy in `file`, usable at `now`, of `group` unless that is empty. Errors: Transient,
/// misconfigured, one sentence: whoever makes proxies may yet make another.
Result<DiracProxy> readDiracProxy(const std::filesystem::path& file, const std::string& group,
                                  WallTime now);

}  // namespace gridbridge
