#include "bridge/gitlab/Answer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <strings.h>
#include <time.h>

#include "bridge/gitlab/JsonFields.h"

namespace gridbridge::gitlab {

namespace {

using std::chrono::seconds;

constexpr std::size_t kLongestSaid = 200;
constexpr std::size_t kLargestErrorBody = std::size_t{64} << 10U;
constexpr seconds kLongestWait = std::chrono::hours(1);
constexpr auto kRequestId = "X-Request-Id";
constexpr std::size_t kLongestRequestId = 64;
constexpr auto kBetween = "; is there a proxy or a login before it?";

/// `message` or `error` of GitLab's error bodies; empty when there is none.
std::string saidIn(const http::Response& response) {
    if (response.body.size() > kLargestErrorBody) {
        return {};
    }
    try {
        const auto fields = JsonFields::parse(response.body);
        for (const auto* key : {"message", "error"}) {
            if (fields.isObject(key)) {
                return fields.object(key).json();
            }
            if (fields.filled(key)) {
                return fields.text(key, kLargestErrorBody);
            }
        }
    } catch (const UnreadableField&) {
        return {};
    }
    return {};
}

/// Where a redirect leads, without credentials and query; a path leads to the same server.
std::string target(const std::string& baseUrl, const http::Response& response) {
    auto location = response.header("Location");
    location.resize(std::min(location.find_first_of("?#"), location.size()));
    if (location.starts_with("//")) {
        location.insert(0, baseUrl, 0, baseUrl.find("//"));
    } else if (location.starts_with('/')) {
        location.insert(0, baseUrl, 0, baseUrl.find('/', baseUrl.find("://") + 3));
    }
    const auto host = location.find("://");
    const auto path = host == std::string::npos ? host : location.find('/', host + 3);
    const auto at = location.rfind('@', path);
    if (host != std::string::npos && at != std::string::npos && at > host) {
        location.erase(host + 3, at - host - 2);
    }
    return location;
}

std::string redirect(const std::string& baseUrl, const std::string& path,
                     const http::Response& response, const Secret& secret) {
    const auto to = target(baseUrl, response);
    if (to.empty()) {
        return "a redirect to nowhere; check the url of this runner";
    }
    // What would be configured for the redirect not to happen.
    const auto api = path.find("/api/v4/");
    const auto same = api == std::string::npos ? api : to.find(path.substr(api));
    if (same != std::string::npos && same > 0) {
        return "a redirect; set url = \"" + harmless(to.substr(0, same), secret) + "\"";
    }
    return "a redirect to " + harmless(to, secret) + "; check the url of this runner";
}

std::optional<std::int64_t> wholeNumber(const std::string& text) {
    std::int64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// An RFC 1123 date, as in `Wed, 21 Oct 2015 07:28:00 GMT`.
std::optional<seconds> untilDate(const std::string& text, WallTime now) {
    struct tm parts {};
    const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    const auto at = fromEpoch(seconds(::timegm(&parts)));
    return at > now ? std::optional(std::chrono::ceil<seconds>(at - now)) : std::nullopt;
}

}  // namespace

std::string harmless(std::string text, const Secret& secret) {
    const auto& hidden = secret.reveal();
    for (auto at = text.find(hidden); !hidden.empty() && at != std::string::npos;
         at = text.find(hidden, at)) {
        text.replace(at, hidden.size(), "[MASKED]");
    }
    text.resize(std::min(text.size(), kLongestSaid));
    for (auto& c : text) {
        c = c < ' ' || c == '\x7f' ? ' ' : c;
    }
    return text;
}

std::string describe(const std::string& baseUrl, const http::Request& request,
                     const http::Response& response, const Secret& secret) {
    const auto path = request.path.substr(0, request.path.find('?'));
    std::string text =
        request.method + " " + baseUrl + path + ": " + std::to_string(response.status);
    if (!response.proxy.empty()) {
        text += " through the proxy " + response.proxy;
    }
    if (response.status >= 300 && response.status < 400) {
        text += ", " + redirect(baseUrl, path, response, secret);
    } else if (isWebPage(response)) {
        text += " with a web page, not GitLab's answer";
        // Any server says so of one behind it that is away.
        text += isPassing(response.status) ? "" : kBetween;
    } else if (auto said = harmless(saidIn(response), secret); !said.empty()) {
        std::replace(said.begin(), said.end(), ';', ',');  // Behind one stands our own cure.
        text += ", the server says: " + said;
    } else if (response.status == 404 ||
               (response.status < 300 && response.header("Job-Status").empty())) {
        text += ", which is not what GitLab answers; check the url of this runner";
    } else if (response.status == 403) {
        text += ", which is not how GitLab refuses";
        text += kBetween;
    }
    return text + " (request " + harmless(requestId(request, response), secret) + ")";
}

std::string requestId(const http::Request& request, const http::Response& response) {
    auto id = response.header(kRequestId);
    if (id.empty()) {
        for (const auto& [name, value] : request.headers) {
            id = name == kRequestId ? value : id;
        }
    }
    return id.substr(0, kLongestRequestId);
}

bool isWebPage(const http::Response& response) {
    constexpr std::string_view kHtml = "text/html";
    const auto type = response.header("Content-Type");
    return ::strncasecmp(type.c_str(), kHtml.data(), kHtml.size()) == 0;
}

bool isGitLabs(const http::Response& response) {
    return saidIn(response).starts_with(std::to_string(response.status) + " ");
}

bool isRefusal(const http::Response& response) {
    return response.status == 422 ? !saidIn(response).empty()
                                  : response.status == 403 && isGitLabs(response);
}

bool isBareStatus(const http::Response& response) {
    const auto status = std::to_string(response.status);
    return response.body == status || response.body == '"' + status + '"';
}

std::optional<seconds> secondsIn(const http::Response& response, std::string_view header) {
    const auto value = wholeNumber(response.header(header));
    if (!value || *value <= 0) {
        return std::nullopt;
    }
    return std::min(seconds(std::min<std::int64_t>(*value, 86400)), kLongestWait);
}

std::optional<seconds> retryAfter(const http::Response& response, WallTime now) {
    if (const auto wait = untilDate(response.header("RateLimit-ResetTime"), now)) {
        return std::min(*wait, kLongestWait);
    }
    return secondsIn(response, "Retry-After");
}

bool isPassing(int status) {
    constexpr std::array<int, 4> kPassing{408, 409, 425, 429};
    return status >= 500 || std::find(kPassing.begin(), kPassing.end(), status) != kPassing.end();
}

std::string newRequestId() {
    constexpr std::string_view kDigits = "0123456789abcdef";
    constexpr int kWords = 4;
    std::random_device device;
    std::string id;
    for (int word = 0; word < kWords; ++word) {
        const auto bits = device();
        for (unsigned shift = 0; shift < 32; shift += 4) {
            id += kDigits[(bits >> shift) & 15U];
        }
    }
    return id;
}

}  // namespace gridbridge::gitlab
