#include "bridge/http/BaseUrl.h"

#include <Poco/Exception.h>
#include <Poco/URI.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace gridbridge::http {

namespace {

constexpr std::size_t kLongestUrl = 2048;

bool plainText(const std::string& url) {
    return url.size() <= kLongestUrl &&
           std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string rootOf(std::string path) {
    const auto dropSlashes = [&path] {
        while (path.ends_with('/')) {
            path.pop_back();
        }
    };
    dropSlashes();
    for (const std::string_view ending : {"/api/v4", "/ci"}) {
        if (path.ends_with(ending)) {
            path.resize(path.size() - ending.size());
            dropSlashes();
        }
    }
    return path;
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
    if ((!tls && uri.getScheme() != "http") || uri.getHost().empty()) {
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
    result.root = start == std::string::npos ? "" : rootOf(url.substr(start));
    result.text = uri.getScheme() + "://" + result.authority + result.root;
    return result;
}

}  // namespace gridbridge::http
