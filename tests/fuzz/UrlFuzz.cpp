#include <stdexcept>

#include "bridge/http/BaseUrl.h"
#include "tests/fuzz/Fuzz.h"

// Input: the url of a runner.

namespace gridbridge::fuzz {

void tryWith(std::string_view input) {
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
