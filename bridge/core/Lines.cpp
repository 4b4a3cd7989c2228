#include "bridge/core/Lines.h"

#include <algorithm>

namespace gridbridge::core {

namespace {

constexpr std::string_view kReset = "\033[0;m";
constexpr std::string_view kYellow = "\033[0;33m";
constexpr std::string_view kRed = "\033[31;1m";

std::string harmless(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
        const auto byte = static_cast<unsigned char>(c);
        c = byte < 0x20 || byte == 0x7F ? ' ' : c;
    }
    return line;
}

std::string coloured(std::string_view colour, std::string_view prefix, std::string_view text) {
    std::string line(colour);
    return line.append(prefix).append(harmless(text)).append(kReset) + "\n";
}

std::string_view colourOf(std::string_view text) {
    if (text.starts_with("WARNING: ")) {
        return kYellow;
    }
    return text.starts_with("ERROR: ") || text.starts_with("FATAL: ") ? kRed : "";
}

std::string marker(std::string_view kind, WallTime now, std::string_view name) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    return "section_" + std::string(kind) + ":" + std::to_string(seconds) + ":" +
           std::string(name) + "\r\033[0K";
}

}  // namespace

std::string plainLine(std::string_view text) {
    return coloured("\033[0K", "", text);
}
std::string infoLine(std::string_view text) {
    return coloured("\033[32;1m", "", text);
}
std::string warningLine(std::string_view text) {
    return coloured(kYellow, "WARNING: ", text);
}
std::string errorLine(std::string_view text) {
    return coloured(kRed, "ERROR: ", text);
}

std::string toolLine(std::string_view text,
                     const std::vector<std::pair<std::string, std::string>>& fields) {
    constexpr std::ptrdiff_t kColumns = 50;
    const auto colour = colourOf(text);
    const auto shown = std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    });
    std::string line(colour);
    line += harmless(text);
    line.append(static_cast<std::size_t>(std::max(kColumns - shown, std::ptrdiff_t{0})), ' ');
    line.append(kReset).append(" ");
    for (const auto& [name, value] : fields) {
        line.append(" ").append(colour).append(name).append(kReset);
        line += "=" + harmless(value);
    }
    return line + "\n";
}

std::string sectionStart(WallTime now, std::string_view name, std::string_view header) {
    return marker("start", now, name) + "\033[0K\033[36;1m" + std::string(header) +
           "\033[0;m\033[0;m\n";
}
std::string sectionEnd(WallTime now, std::string_view name) {
    return marker("end", now, name);
}

std::string goDuration(std::int64_t seconds) {
    std::string text;
    if (seconds >= 3600) {
        text += std::to_string(seconds / 3600) + "h";
    }
    if (seconds >= 60) {
        text += std::to_string(seconds / 60 % 60) + "m";
    }
    return text + std::to_string(seconds % 60) + "s";
}

}  // namespace gridbridge::core
