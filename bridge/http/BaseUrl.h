#pragma once

#include <cstdint>
#include <string>

namespace gridbridge::http {

/// Address of a server as configured by people.
struct BaseUrl {
    bool tls = false;
    std::string host;  ///< Without brackets.
    std::uint16_t port = 0;
    std::string authority;  ///< As the Host header says it.
    std::string root;       ///< Path before every request's path: empty or `/gitlab`.
    std::string text;       ///< All of it, without trailing slash and credentials.
};

/// Takes what people paste: trailing slashes, the endings `/api/v4` and `/ci` of old
/// configurations and credentials are dropped. Throws std::invalid_argument, without any part of
/// the text, when it is no http or https address.
BaseUrl parseBaseUrl(const std::string& url);

}  // namespace gridbridge::http
