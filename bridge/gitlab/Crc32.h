#pragma once

#include <cstdint>
#include <string_view>

namespace gridbridge::gitlab {

/// CRC-32 (IEEE polynomial, as in zlib) of bytes that come in parts: GitLab's trace checksum.
class Crc32 {
public:
    void update(std::string_view bytes);
    std::uint32_t value() const { return value_; }

private:
    std::uint32_t value_ = 0;
};

}  // namespace gridbridge::gitlab
