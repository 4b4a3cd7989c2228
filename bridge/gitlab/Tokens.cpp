#include <Poco/Base64Decoder.h>
#include <Poco/Exception.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <limits>
#include <sstream>

#include "bridge/gitlab/JsonFields.h"
#include "bridge/gitlab/RunnerApi.h"

namespace gridbridge::gitlab {

namespace {

constexpr std::size_t kLongestClaims = std::size_t{64} << 10U;

std::string fromBase64Url(std::string text) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    text.append((4 - text.size() % 4) % 4, '=');
    std::istringstream encoded(text);
    Poco::Base64Decoder decoder(encoded);
    return {std::istreambuf_iterator<char>(decoder), {}};
}

/// Drops `prefix` when there.
bool strip(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

bool stripType(std::string_view& text) {
    return strip(text, "t1_") || strip(text, "t2_") || strip(text, "t3_");
}

bool stripRegistration(std::string_view& text) {
    constexpr std::size_t kLength = 9;  // `GR` and 7 hexadecimal digits.
    const auto head = text.substr(0, kLength);
    if (head.size() < kLength || !head.starts_with("GR") ||
        !std::all_of(head.begin() + 2, head.end(),
                     [](unsigned char c) { return std::isxdigit(c) != 0; })) {
        return false;
    }
    text.remove_prefix(kLength);
    return true;
}

}  // namespace

std::string reportableReason(std::string_view wanted, const std::vector<std::string>& listed) {
    constexpr std::array<std::string_view, 3> kAlways{"script_failure", "runner_system_failure",
                                                      "job_execution_timeout"};
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kInstead{{
        {"image_pull_failure", "runner_system_failure"},
        {"runner_configuration_error", "script_failure"},
        {"runner_external_dependency_failure", "runner_system_failure"},
        {"runner_interrupted", "runner_system_failure"},
    }};
    if (wanted.empty()) {
        return "script_failure";
    }
    if (std::find(kAlways.begin(), kAlways.end(), wanted) != kAlways.end() ||
        std::find(listed.begin(), listed.end(), wanted) != listed.end()) {
        return std::string(wanted);
    }
    for (const auto& [reason, other] : kInstead) {
        if (reason == wanted) {
            return std::string(other);
        }
    }
    return "unknown_failure";
}

std::optional<std::chrono::seconds> tokenLifetime(const Secret& jobToken) {
    std::string_view token = jobToken.reveal();
    strip(token, "glcbt-");
    const auto first = token.find('.');
    const auto second = token.find('.', first + 1);
    if (!token.starts_with("eyJ") || second == std::string_view::npos ||
        second - first > kLongestClaims) {
        return std::nullopt;
    }
    try {
        const auto claims = JsonFields::parse(
            fromBase64Url(std::string(token.substr(first + 1, second - first - 1))));
        constexpr std::int64_t kNever = 253'402'300'800;  // The year 10,000.
        const auto issued = claims.number("iat", 0);
        const auto expiry = claims.number("exp", 0);
        if (issued <= 0 || expiry <= issued || expiry > kNever) {
            return std::nullopt;
        }
        return std::chrono::seconds(expiry - issued);
    } catch (const UnreadableField&) {
        return std::nullopt;
    } catch (const Poco::Exception&) {
        return std::nullopt;
    }
}

std::string shortToken(const Secret& runnerToken) {
    constexpr std::size_t kShown = 9;
    std::string_view token = runnerToken.reveal();
    if (strip(token, "glrt-")) {
        stripType(token);
    } else if (!stripType(token) && !strip(token, "glrtr-") && !strip(token, "glcbt-")) {
        stripRegistration(token);
    }
    return std::string(token.substr(0, kShown));
}

}  // namespace gridbridge::gitlab
