#include <stdexcept>

#include "bridge/http/BaseUrl.h"
#include "bridge/http/Target.h"
#include "tests/fuzz/Fuzz.h"

// Input: the url of a runner, or where a redirect leads.

namespace gridbridge::fuzz {

namespace {

void tryLocation(const std::string& location) {
    const auto target = http::targetOf(location, http::parseBaseUrl("https://git.example.org"));
    if (!target) {
        require(isPlain(target.error().message), "an error holds nothing of the address");
        return;
    }
    require(!target->server.host.empty() && target->server.root.empty(), "there is a host");
    require(isPlain(target->server.text), "a host is plain");
    require(target->path.starts_with('/'), "a path is one");
    require(location.find(target->path.substr(1)) != std::string::npos, "it is as it was written");
}

}  // namespace

void tryWith(std::string_view input) {
    tryLocation(std::string(input));
    http::BaseUrl url;
    try {
        url = http::parseBaseUrl(std::string(input));
    } catch (const std::invalid_argument& error) {
        require(isPlain(error.what()), "an error holds nothing of the url");
        return;
    }
    require(!url.host.empty() && isPlain(url.text), "there is a host");
    require(url.authority.find('@') == std::string::npos, "credentials are dropped");
    const auto again = http::parseBaseUrl(url.text);
    require(again.text == url.text && again.root == url.root && again.port == url.port &&
                again.host == url.host,
            "an address is read as it is written");
}

}  // namespace gridbridge::fuzz
