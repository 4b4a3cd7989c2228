#include "bridge/app/Text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace gridbridge::app {

namespace {

constexpr std::size_t kCellWidth = 48;

struct CodePoint {
    char32_t value = 0;
    std::size_t bytes = 1;
    bool valid = false;
};

CodePoint codePointAt(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
    };
    const char32_t first = byte(at);
    if (first < 0x80) {
        return {first, 1, true};
    }
    const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || at + bytes > text.size()) {
        return {};
    }
    char32_t value = first & (0x7fU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(at + i) & 0xc0) != 0x80) {
            return {};
        }
        value = (value << 6) | (byte(at + i) & 0x3f);
    }
    constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < kSmallest[bytes] || value > 0x10ffff || surrogate) {
        return {};
    }
    return {value, bytes, true};
}

bool isHarmless(char32_t c) {
    const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
    const bool direction =
        c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return !control && !direction;
}

std::size_t characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); at += codePointAt(text, at).bytes) {
        ++count;
    }
    return count;
}

std::string cut(const std::string& text, std::size_t most) {
    if (characters(text) <= most) {
        return text;
    }
    std::size_t at = 0;
    for (std::size_t count = 0; count + 1 < most; ++count) {
        at += codePointAt(text, at).bytes;
    }
    return text.substr(0, at) + "…";
}

std::string isoTime(WallTime time, bool millis) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const std::time_t clock = static_cast<std::time_t>(seconds.time_since_epoch().count());
    std::tm parts{};
    ::localtime_r(&clock, &parts);
    const auto offset = parts.tm_gmtoff / 60;
    const auto distance = offset < 0 ? -offset : offset;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}{:02}:{:02}", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       millis ? fmt::format(".{:03}", (time - seconds).count()) : "",
                       offset < 0 ? '-' : '+', distance / 60, distance % 60);
}

/// Optimal string alignment distance.
std::size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const CodePoint c = codePointAt(text, at);
        for (std::size_t i = at; i < at + c.bytes; ++i) {
            if (c.valid && isHarmless(c.value)) {
                out += text[i];
            } else {
                out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
            }
        }
        at += c.bytes;
    }
    return out;
}

std::string localTime(WallTime time) {
    return isoTime(time, false);
}

std::string localTimeMillis(WallTime time) {
    return isoTime(time, true);
}

std::string utcTime(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::string withCure(const std::string& what, const std::string& cure) {
    return what.find("; ") == std::string::npos ? what + "; " + cure : what;
}

std::string alignedTable(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::vector<std::string>> cells;
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        auto& line = cells.emplace_back();
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = printable(row[i]);
            line.push_back(i + 1 < row.size() ? cut(cell, kCellWidth) : cell);
            widths.resize(std::max(widths.size(), i + 1));
            widths[i] = std::max(widths[i], characters(line.back()));
        }
    }
    std::string out;
    for (const auto& line : cells) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i) {
            text += line[i];
            text.append(widths[i] - characters(line[i]) + 2, ' ');
        }
        text.resize(text.find_last_not_of(' ') + 1);
        out += text + '\n';
    }
    return out;
}

std::string_view nearest(std::string_view wanted, const std::vector<std::string_view>& known) {
    constexpr std::size_t kLongestKey = 64;
    if (wanted.size() > kLongestKey) {
        return {};
    }
    std::string_view best;
    std::size_t fewest = kLongestKey;
    for (const std::string_view candidate : known) {
        const std::size_t edits = editDistance(wanted, candidate);
        if (edits < fewest && edits <= std::max<std::size_t>(1, candidate.size() / 3)) {
            fewest = edits;
            best = candidate;
        }
    }
    return best;
}

}  // namespace gridbridge::app
