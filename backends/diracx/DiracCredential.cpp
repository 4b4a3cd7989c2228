#include "backends/diracx/DiracCredential.h"

#include <Poco/Base64Decoder.h>
#include <Poco/Base64Encoder.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

namespace gridbridge {

namespace {

using Poco::JSON::Object;
using std::chrono::duration_cast;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kLongestToken = std::size_t{16} << 10U;
constexpr Seconds kLatest{253402300799.0};  ///< The end of the year 9999.
// As the official client: refreshed when less is left, and not shown in the last seconds.
constexpr Seconds kLeft{300};
constexpr Seconds kGrace{15};

Object::Ptr objectOf(std::string_view text) {
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(8);
        return parser.parse(std::string(text)).extract<Object::Ptr>();
    } catch (const Poco::Exception&) {
        return {};
    }
}

/// Empty when it is absent or nothing that a header may hold.
Secret tokenIn(const Object& object, const char* key) {
    const auto value = object.get(key);
    if (!value.isString()) {
        return {};
    }
    auto text = value.extract<std::string>();
    const bool sound =
        text.size() <= kLongestToken &&
        std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    return Secret(sound ? std::move(text) : std::string());
}

std::optional<Seconds> secondsIn(const Object& object, const char* key) {
    const auto value = object.get(key);
    if (!value.isNumeric() || value.isBoolean()) {
        return std::nullopt;
    }
    const Seconds seconds(value.convert<double>());
    return seconds >= Seconds(0) && seconds <= kLatest ? std::optional(seconds) : std::nullopt;
}

/// Of a JSON web token; null when it is none.
Object::Ptr claimsOf(const Secret& secret) {
    const auto& token = secret.reveal();
    const auto first = token.find('.');
    const auto second = first == std::string::npos ? first : token.find('.', first + 1);
    if (second == std::string::npos) {
        return {};
    }
    std::istringstream coded(token.substr(first + 1, second - first - 1));
    Poco::Base64Decoder decoder(coded, Poco::BASE64_URL_ENCODING | Poco::BASE64_NO_PADDING);
    return objectOf(std::string(std::istreambuf_iterator<char>(decoder), {}));
}

WallTime timeOf(Seconds sinceEpoch) {
    return fromEpoch(duration_cast<Millis>(sinceEpoch));
}

std::int64_t secondsOf(WallTime time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

bool isJsonObject(std::string_view text) {
    return !objectOf(text).isNull();
}

std::optional<DiracCredential> DiracCredential::parse(std::string_view text) {
    const auto object = objectOf(text);
    if (object.isNull()) {
        return std::nullopt;
    }
    DiracCredential result{.access = tokenIn(*object, "access_token"),
                           .refresh = tokenIn(*object, "refresh_token"),
                           .expiresOn = {},
                           .refreshAt = {}};
    const auto expires = secondsIn(*object, "expires_on");
    if (result.access.empty() || !expires) {
        return std::nullopt;
    }
    result.expiresOn = timeOf(*expires);
    result.refreshAt = std::min(
        result.expiresOn, timeOf(secondsIn(*object, "refresh_at").value_or(*expires - kLeft)));
    result.refreshesSent = static_cast<int>(
        std::min(secondsIn(*object, "refreshes_sent").value_or(Seconds(0)).count(), 9.0));
    return result;
}

Secret DiracCredential::text() const {
    Object object(Poco::JSON_PRESERVE_KEY_ORDER);
    object.set("access_token", access.reveal());
    object.set("refresh_token",
               refresh.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(refresh.reveal()));
    object.set("expires_on", secondsOf(expiresOn));
    object.set("refresh_at", secondsOf(refreshAt));
    if (refreshesSent > 0) {
        object.set("refreshes_sent", refreshesSent);
    }
    std::ostringstream out;
    object.stringify(out);
    return Secret(std::move(out).str());
}

std::optional<DiracCredential> DiracCredential::refreshed(std::string_view body,
                                                          WallTime asked) const {
    const auto object = objectOf(body);
    if (object.isNull()) {
        return std::nullopt;
    }
    const auto lifetime = secondsIn(*object, "expires_in");
    DiracCredential result{.access = tokenIn(*object, "access_token"),
                           .refresh = tokenIn(*object, "refresh_token"),
                           .expiresOn = {},
                           .refreshAt = {}};
    if (result.access.empty() || !lifetime) {
        return std::nullopt;
    }
    if (result.refresh.empty()) {
        result.refresh = refresh;  // RFC 6749, section 6: then the old one still holds.
    }
    const auto lives = std::min(*lifetime, kLatest / 2);
    result.expiresOn = asked + duration_cast<Millis>(lives - std::min(kGrace, lives / 4));
    result.refreshAt = asked + duration_cast<Millis>(lives - std::min(kLeft, lives / 2));
    return result;
}

bool DiracCredential::rotates() const {
    const auto claims = claimsOf(refresh);
    if (claims.isNull()) {
        return true;
    }
    const auto legacy = claims->get("legacy_exchange");
    return !legacy.isBoolean() || !legacy.extract<bool>();
}

std::optional<DiracOwner> diracOwner(const Secret& access) {
    const auto claims = claimsOf(access);
    if (claims.isNull()) {
        return std::nullopt;
    }
    const auto user = claims->get("preferred_username");
    const auto vo = claims->get("vo");
    if (!user.isString() || !vo.isString() || user.extract<std::string>().empty()) {
        return std::nullopt;
    }
    return DiracOwner{user.extract<std::string>(), vo.extract<std::string>()};
}

}  // namespace gridbridge
