#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

std::string shellQuoted(std::string_view text) {
    std::string word = "'";
    for (const char c : text) {
        if (c == '\'') {
            word += "'\\''";
        } else {
            word += c;
        }
    }
    return word + "'";
}

std::string quotedWords(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        text += " " + shellQuoted(word);
    }
    return text;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\n\v\f\r";
    const auto begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string oneLine(std::string_view text) {
    constexpr std::size_t kLongest = 200;
    std::string line(text.substr(0, kLongest));
    for (char& c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            c = '?';
        }
    }
    return text.size() > kLongest ? line + "..." : line;
}

std::string sizeText(std::int64_t bytes) {
    auto number = bytes >> 20;
    const char* unit = " MiB";
    for (const auto* larger : {" GiB", " TiB"}) {
        if (number < 1024 || number % 1024 != 0) {
            break;
        }
        number /= 1024;
        unit = larger;
    }
    return std::to_string(number) + unit;
}

std::string tellFunction() {
    return R"(gb_tell() {
  local gb_colour=
  case $1 in
    WARNING:*) gb_colour='\033[0;33m' ;;
    ERROR:*) gb_colour='\033[31;1m' ;;
  esac
  printf "$gb_colour%-50s\033[0;m \n" "$1"
}
)";
}

std::string printGreen(std::string_view text) {
    return "printf '\\033[32;1m%s\\033[0;m\\n' " + shellQuoted(text) + "\n";
}

}  // namespace gridbridge::payload
