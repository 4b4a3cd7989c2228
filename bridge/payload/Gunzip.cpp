#include "bridge/payload/Gunzip.h"

#include <array>
#include <utility>
#include <zlib.h>

namespace gridbridge::payload {

namespace {

constexpr std::size_t kBlock = std::size_t{64} << 10;
constexpr int kGzip = MAX_WBITS + 16;

}  // namespace

struct Gunzip::Impl {
    explicit Impl(Pieces pieces) : packed(std::move(pieces)) {
        good = inflateInit2(&stream, kGzip) == Z_OK;
    }
    ~Impl() { inflateEnd(&stream); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    static Error damaged() {
        return permanentError("the artifact archive from the node is damaged");
    }

    Pieces packed;
    std::string piece;
    std::array<char, kBlock> block{};
    z_stream stream{};
    bool good = false;
    bool within = false;  ///< A member has begun.
};

Gunzip::Gunzip(Pieces packed) : impl_(std::make_unique<Impl>(std::move(packed))) {}

Gunzip::~Gunzip() = default;

Result<std::string_view> Gunzip::next() {
    auto& [packed, piece, block, stream, good, within] = *impl_;
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    while (good && stream.avail_out == block.size()) {
        if (stream.avail_in == 0) {
            auto more = packed();
            if (!more) {
                return more.error();
            }
            if (more->empty()) {
                return within ? Result<std::string_view>(Impl::damaged()) : std::string_view();
            }
            piece = std::move(more).value();
            stream.next_in = reinterpret_cast<Bytef*>(piece.data());
            stream.avail_in = static_cast<uInt>(piece.size());
        }
        within = true;
        const int state = inflate(&stream, Z_NO_FLUSH);
        if (state == Z_STREAM_END) {
            within = false;
            good = inflateReset(&stream) == Z_OK;
        } else if (state != Z_OK && state != Z_BUF_ERROR) {
            good = false;
        }
    }
    if (!good && stream.avail_out == block.size()) {
        return Impl::damaged();
    }
    return std::string_view(block.data(), block.size() - stream.avail_out);
}

}  // namespace gridbridge::payload
