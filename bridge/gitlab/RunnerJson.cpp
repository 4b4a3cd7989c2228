#include "bridge/gitlab/RunnerJson.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <ctime>
#include <sstream>
#include <sys/utsname.h>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/RunnerApi.h"

namespace gridbridge::gitlab {

namespace {

struct Machine {
    std::string platform = "unknown";
    std::string architecture = "unknown";
};

/// The machine in the words that GitLab's pages use.
Machine thisMachine() {
    struct utsname name {};
    if (::uname(&name) != 0) {
        return {};
    }
    Machine result{.platform = name.sysname, .architecture = name.machine};
    std::transform(result.platform.begin(), result.platform.end(), result.platform.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (result.architecture == "x86_64") {
        result.architecture = "amd64";
    } else if (result.architecture == "aarch64") {
        result.architecture = "arm64";
    }
    return result;
}

/// ISO 8601 as Rails writes it: `2026-12-01T00:00:00.000Z`, or with an offset.
std::optional<WallTime> parseTime(const std::string& text) {
    struct tm parts {};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (end == nullptr) {
        return std::nullopt;
    }
    if (*end == '.') {
        // Less than a second does not matter for a token's life.
        end += 1 + std::strspn(end + 1, "0123456789");
    }
    const auto local = ::timegm(&parts);
    end = ::strptime(end, "%z", &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    return fromEpoch(std::chrono::seconds(local - parts.tm_gmtoff));
}

}  // namespace

std::string userAgent() {
    const auto machine = thisMachine();
    return std::string("gridbridge ") + GRIDBRIDGE_VERSION + " (" + machine.platform + "/" +
           machine.architecture + ")";
}

Poco::JSON::Object programInfo() {
    const auto machine = thisMachine();
    Poco::JSON::Object info;
    info.set("name", "gridbridge");
    info.set("version", GRIDBRIDGE_VERSION);
    info.set("platform", machine.platform);
    info.set("architecture", machine.architecture);
    return info;
}

http::Request jsonCall(const std::string& method, const std::string& path,
                       const Poco::JSON::Object& json) {
    std::ostringstream text;
    json.stringify(text);
    return {.method = method,
            .path = path,
            .headers = {{"Content-Type", "application/json"},
                        {"Accept", "application/json"},
                        {"X-Request-Id", newRequestId()}},
            .body = text.str()};
}

std::optional<WallTime> tokenExpiresAt(const JsonFields& fields) {
    try {
        return parseTime(fields.text("token_expires_at"));
    } catch (const UnreadableField&) {
        return std::nullopt;
    }
}

}  // namespace gridbridge::gitlab
