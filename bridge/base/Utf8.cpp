#include "bridge/base/Utf8.h"

#include <algorithm>
#include <utility>

namespace gridbridge {

namespace {

/// Bytes of the character that starts with `lead`; 0 = no character starts so (RFC 3629).
std::size_t lengthOf(unsigned char lead) {
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        return 3;
    }
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/// Whether `byte` may stand at `place` of a character that starts with `lead`.
bool continues(unsigned char lead, std::size_t place, unsigned char byte) {
    if ((byte & 0xC0U) != 0x80U) {
        return false;
    }
    if (place == 1) {
        return !((lead == 0xE0 && byte < 0xA0) || (lead == 0xED && byte > 0x9F) ||
                 (lead == 0xF0 && byte < 0x90) || (lead == 0xF4 && byte > 0x8F));
    }
    return true;
}

/// How many bytes from `at` on form the beginning of one character, and whether it is whole.
std::pair<std::size_t, bool> character(std::string_view text, std::size_t at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lengthOf(lead);
    if (length == 0) {
        return {1, false};
    }
    std::size_t seen = 1;
    while (seen < length && at + seen < text.size() &&
           continues(lead, seen, static_cast<unsigned char>(text[at + seen]))) {
        ++seen;
    }
    return {seen, seen == length};
}

}  // namespace

std::string validUtf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    const auto beyondAscii = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
    for (std::size_t at = 0; at < text.size();) {
        const auto rest = text.substr(at);
        const auto plain = static_cast<std::size_t>(
            std::find_if(rest.begin(), rest.end(), beyondAscii) - rest.begin());
        if (plain > 0) {
            valid += rest.substr(0, plain);
            at += plain;
            continue;
        }
        const auto [length, whole] = character(text, at);
        if (whole) {
            valid += text.substr(at, length);
        } else {
            valid += "\xEF\xBF\xBD";
        }
        at += whole ? length : 1;
    }
    return valid;
}

std::size_t completeUtf8(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const std::size_t at = text.size() - back;
        const auto lead = static_cast<unsigned char>(text[at]);
        if (lengthOf(lead) > back && character(text, at).first == back) {
            return at;
        }
        if ((lead & 0xC0U) != 0x80U) {
            break;
        }
    }
    return text.size();
}

}  // namespace gridbridge
