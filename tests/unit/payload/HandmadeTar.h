#pragma once

#include <cstdio>
#include <string>

namespace gridbridge::payload {

/// Of an entry in a tar archive; `size` is the raw bytes of that field, `target` that of a link.
inline std::string tarHeader(const std::string& name, const std::string& size, char type = '0',
                             const std::string& target = {}, const std::string& mode = "0000644") {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, mode.size(), mode);
    header.replace(124, size.size(), size);
    header[156] = type;
    header.replace(157, target.size(), target);
    const std::string ustar(
        "ustar\0"
        "00",
        8);
    header.replace(257, ustar.size(), ustar);
    unsigned sum = 8 * ' ';
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    char digits[8] = {};
    std::snprintf(digits, sizeof digits, "%06o", sum);
    return header.replace(148, 8, std::string(digits, 7) + " ");
}

}  // namespace gridbridge::payload
