#include "bridge/gitlab/Crc32.h"

#include <zlib.h>

namespace gridbridge::gitlab {

std::uint32_t crc32(std::uint32_t soFar, std::string_view bytes) {
    // zlib starts anew when it is given a null pointer.
    if (bytes.empty()) {
        return soFar;
    }
    const auto* data = static_cast<const Bytef*>(static_cast<const void*>(bytes.data()));
    return static_cast<std::uint32_t>(::crc32_z(soFar, data, bytes.size()));
}

}  // namespace gridbridge::gitlab
