#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <zlib.h>

namespace gridbridge::testing {

/// One gzip member; level 0 = nothing is made smaller. Throws when zlib fails.
inline std::string gzip(std::string_view text, int level = Z_BEST_SPEED) {
    constexpr int kGzip = MAX_WBITS + 16;
    constexpr int kMemory = 8;
    z_stream stream{};
    if (deflateInit2(&stream, level, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::runtime_error("zlib does not start");
    }
    std::string from(text);
    std::string result(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(from.data());
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    const int state = deflate(&stream, Z_FINISH);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    if (state != Z_STREAM_END) {
        throw std::runtime_error("zlib does not end");
    }
    return result;
}

}  // namespace gridbridge::testing
