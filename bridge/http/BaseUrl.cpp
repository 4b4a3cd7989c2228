#include "bridge/http/BaseUrl.h"

#include <Poco/Exception.h>
#include <Poco/URI.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace gridbridge::http {

namespace {

constexpr std::size_t kLongestUrl = 2048;

bool plainText(const std::string& url) {
    return url.size() <= kLongestUrl &&
           std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Drops what does not count until nothing of that is left: what it gives it leaves as it is.
std::string_view rootOf(std::string_view path) {
    constexpr std::array<std::string_view, 3> kEndings{"/", "/api/v4", "/ci"};
    for (;;) {
        const auto ending =
            std::find_if(kEndings.begin(), kEndings.end(),
                         [path](std::string_view each) { return path.ends_with(each); });
        if (ending == kEndings.end()) {
            return path;
        }
        path.remove_suffix(ending->size());
    }
}

}  // namespace

BaseUrl parseBaseUrl(const std::string& url) {
    if (!plainText(url)) {
        throw std::invalid_argument("the url is longer than 2048 characters or has blanks in it");
    }
    Poco::URI uri;
    try {
        uri = Poco::URI(url);
    } catch (const Poco::Exception&) {
        throw std::invalid_argument("the url cannot be parsed; write https://host[:port][/path]");
    }
    const bool tls = uri.getScheme() == "https";
    // Poco takes an address of IPv6 without a look at what is in the brackets.
    if ((!tls && uri.getScheme() != "http") || uri.getHost().empty() ||
        uri.getHost().find_first_of("[]@") != std::string::npos) {
        throw std::invalid_argument("the url must begin with https:// or http:// and name a host");
    }
    if (!uri.getRawQuery().empty() || !uri.getFragment().empty()) {
        throw std::invalid_argument("the url must have neither a query nor a fragment");
    }
    BaseUrl result;
    result.tls = tls;
    result.host = uri.getHost();
    result.port = uri.getPort();
    const bool bracketed = result.host.find(':') != std::string::npos;
    result.authority = bracketed ? "[" + result.host + "]" : result.host;
    if (result.port != (tls ? 443 : 80)) {
        result.authority += ":" + std::to_string(result.port);
    }
    // The path as written: Poco decodes it, and it is sent as it is.
    const auto start = url.find('/', url.find("://") + 3);
    if (start != std::string::npos) {
        result.root = rootOf(std::string_view(url).substr(start));
    }
    result.text = uri.getScheme() + "://" + result.authority + result.root;
    return result;
}

}  // namespace gridbridge::http
