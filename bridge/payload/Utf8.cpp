#include "bridge/payload/Utf8.h"

namespace gridbridge::payload {

namespace {

constexpr char32_t kBadByte = 0xdc00;

std::size_t lengthOf(unsigned char first) {
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

char32_t decode(std::string_view bytes) {
    const auto first = static_cast<unsigned char>(bytes[0]);
    auto codePoint = static_cast<char32_t>(first & (0x7fU >> bytes.size()));
    for (const char c : bytes.substr(1)) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte & 0xc0U) != 0x80) {
            return kBadByte;
        }
        codePoint = codePoint << 6U | (byte & 0x3fU);
    }
    const bool overlong =
        (bytes.size() == 3 && codePoint < 0x800) || (bytes.size() == 4 && codePoint < 0x10000);
    const bool surrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
    return overlong || surrogate || codePoint > 0x10ffff ? kBadByte : codePoint;
}

void appendByte(std::string& text, char32_t byte) {
    text += static_cast<char>(static_cast<unsigned char>(byte));
}

}  // namespace

char32_t nextCodePoint(std::string_view text, std::size_t& at) {
    const auto first = static_cast<unsigned char>(text[at]);
    const auto length = lengthOf(first);
    if (length == 1) {
        ++at;
        return first;
    }
    const auto codePoint =
        length == 0 || at + length > text.size() ? kBadByte : decode(text.substr(at, length));
    at += codePoint == kBadByte ? 1 : length;
    return codePoint == kBadByte ? kBadByte + first : codePoint;
}

std::string bytesOf(char32_t codePoint) {
    std::string text;
    if (codePoint < 0x80) {
        appendByte(text, codePoint);
    } else if (codePoint >= kBadByte && codePoint <= kBadByte + 0xff) {
        appendByte(text, codePoint - kBadByte);
    } else if (codePoint < 0x800) {
        appendByte(text, 0xc0 | codePoint >> 6U);
        appendByte(text, 0x80 | (codePoint & 0x3f));
    } else if (codePoint < 0x10000) {
        appendByte(text, 0xe0 | codePoint >> 12U);
        appendByte(text, 0x80 | (codePoint >> 6U & 0x3f));
        appendByte(text, 0x80 | (codePoint & 0x3f));
    } else {
        appendByte(text, 0xf0 | codePoint >> 18U);
        appendByte(text, 0x80 | (codePoint >> 12U & 0x3f));
        appendByte(text, 0x80 | (codePoint >> 6U & 0x3f));
        appendByte(text, 0x80 | (codePoint & 0x3f));
    }
    return text;
}

bool isValidUtf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto codePoint = nextCodePoint(text, at);
        if (codePoint >= kBadByte && codePoint <= kBadByte + 0xff) {
            return false;
        }
    }
    return true;
}

}  // namespace gridbridge::payload
