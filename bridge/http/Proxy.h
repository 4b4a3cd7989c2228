#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bridge/base/Secret.h"
#include "bridge/http/BaseUrl.h"

namespace gridbridge::http {

/// Value of an environment variable; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
/// That of this process.
Environment processEnvironment();

/// An HTTP proxy between this machine and a server.
struct Proxy {
    std::string host;  ///< Without brackets.
    std::uint16_t port = 0;
    std::string authority;  ///< `host:port`, as messages name it.
    std::string variable;   ///< Where it was named.
    std::string user = {};  ///< Empty = none is given.
    Secret password = {};
};

/// The proxy to `server`, or nothing where it is reached directly, by the rules of Go's
/// golang.org/x/net/http/httpproxy, which GitLab's own runner follows: HTTPS_PROXY, https_proxy,
/// HTTP_PROXY, http_proxy; never to this machine itself, nor to what NO_PROXY or no_proxy lists.
/// Throws std::invalid_argument, without any part of its value, when a variable names no proxy
/// that can be used.
std::optional<Proxy> proxyTo(const BaseUrl& server, const Environment& environment);

/// Why `proxy` did not pass a request on, for people: it answered with `status` itself.
std::string refusalOf(const Proxy& proxy, int status);

}  // namespace gridbridge::http
