#include "bridge/core/Stamps.h"

#include <array>
#include <cstdio>

namespace gridbridge::core {

namespace {

/// Without its last character.
std::string stampOf(WallTime at, LogStream stream) {
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(at - day);
    std::array<char, 64> text{};
    const auto length = std::snprintf(
        text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ %s",
        static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
        static_cast<int>(time.subseconds().count()) * 1000,
        stream == LogStream::Runner ? "00O" : "01O");
    return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::string stamped(std::string_view text, LogStream stream, WallTime at, bool midLine) {
    const auto stamp = stampOf(at, stream);
    std::string result;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n') + 1);
        const auto whole = line.empty() ? text : line;
        result += midLine ? "\n" + stamp + "+" : stamp + " ";
        result += whole;
        text.remove_prefix(whole.size());
        midLine = false;
    }
    return result;
}

std::optional<bool> beginsWithStamp(std::string_view text) {
    constexpr std::string_view kShape = "0000-00-00T00:00:00.000000Z 0";
    for (std::size_t i = 0; i < kShape.size(); ++i) {
        if (i >= text.size() || text[i] == '\0') {
            return std::nullopt;
        }
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (kShape[i] == '0' ? !digit : text[i] != kShape[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace gridbridge::core
