#include "bridge/http/Target.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <strings.h>

namespace gridbridge::http {

namespace {

bool hasScheme(std::string_view location, std::string_view scheme) {
    return location.size() > scheme.size() &&
           ::strncasecmp(location.data(), scheme.data(), scheme.size()) == 0;
}

/// Of what a host and a port are written: no account, and nothing that programs read differently.
bool isAuthority(std::string_view text) {
    constexpr std::string_view kSigns = "-._:[]";
    return !text.empty() && std::all_of(text.begin(), text.end(), [kSigns](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kSigns.find(c) != std::string_view::npos;
    });
}

}  // namespace

Result<Target> targetOf(const std::string& location, const BaseUrl& from) {
    std::string_view rest = location;
    rest = rest.substr(0, rest.find('#'));
    if (rest.empty()) {
        return permanentError("a redirect to nowhere");
    }
    bool tls = from.tls;
    std::string authority = from.authority;
    if (hasScheme(rest, "https://") || hasScheme(rest, "http://") || rest.starts_with("//")) {
        tls = rest.starts_with("//") ? from.tls : hasScheme(rest, "https://");
        rest.remove_prefix(rest.find("//") + 2);
        const auto end = std::min(rest.find_first_of("/?"), rest.size());
        authority = rest.substr(0, end);
        rest.remove_prefix(end);
    } else if (!rest.starts_with('/')) {
        return permanentError("a redirect to no address of https:// or http://");
    }
    if (!isAuthority(authority)) {
        return permanentError("a redirect to an address without a plain host");
    }
    try {
        return Target{parseBaseUrl((tls ? "https://" : "http://") + authority),
                      (rest.starts_with('/') ? "" : "/") + std::string(rest)};
    } catch (const std::invalid_argument&) {
        return permanentError("a redirect to an address that cannot be read");
    }
}

bool keepsTls(const BaseUrl& from, const BaseUrl& to) {
    return to.tls || !from.tls;
}

bool isSameHost(const BaseUrl& one, const BaseUrl& other) {
    return ::strcasecmp(one.host.c_str(), other.host.c_str()) == 0;
}

}  // namespace gridbridge::http
