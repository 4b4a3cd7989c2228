#include "bridge/core/Lines.h"

namespace gridbridge::core {

namespace {

std::string coloured(std::string_view colour, std::string_view prefix, std::string_view text) {
    std::string line(colour);
    line += prefix;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        line += byte < 0x20 || byte == 0x7F ? ' ' : c;
    }
    return line + "\033[0;m\n";
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
    return coloured("\033[0;33m", "WARNING: ", text);
}
std::string errorLine(std::string_view text) {
    return coloured("\033[31;1m", "ERROR: ", text);
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
