#include <array>
#include <cstdio>
#include <utility>
#include <zlib.h>

#include "bridge/payload/Packer.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kBlock = std::size_t{64} << 10;

/// In a header of gzip, which is Latin-1: as GitLab's own runner has it.
std::string comment(const std::string& path) {
    std::string encoded = "e:";
    bool plain = true;
    for (const char c : path) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x80 && c != '%') {
            encoded += c;
            continue;
        }
        plain = false;
        std::array<char, 4> hex{};
        std::snprintf(hex.data(), hex.size(), "%%%02X", code);
        encoded += hex.data();
    }
    return plain ? path : encoded;
}

class GzipPacker final : public Packer {
public:
    explicit GzipPacker(Sink sink) : sink_(std::move(sink)) {}
    ~GzipPacker() override { deflateEnd(&stream_); }

    bool begin(const Member& member) override {
        if (!end()) {
            return false;
        }
        constexpr int kGzip = MAX_WBITS + 16;
        constexpr int kMemory = 8;
        name_ = member.name.substr(member.name.rfind('/') + 1);
        comment_ = comment(member.name);
        header_ = {};
        header_.time = static_cast<uLong>(std::max<std::int64_t>(member.modifiedAt, 0));
        header_.os = 3;  // Unix
        header_.name = reinterpret_cast<Bytef*>(name_.data());
        header_.comment = reinterpret_cast<Bytef*>(comment_.data());
        open_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory,
                             Z_DEFAULT_STRATEGY) == Z_OK &&
                deflateSetHeader(&stream_, &header_) == Z_OK;
        broken_ = !open_;
        return open_;
    }
    bool write(std::string_view bytes) override { return !broken_ && give(bytes, Z_NO_FLUSH); }
    bool finish() override { return end(); }
    bool broken() const override { return broken_; }

private:
    /// Of the member before.
    bool end() {
        const bool good = !open_ || give({}, Z_FINISH);
        open_ = false;
        deflateEnd(&stream_);
        stream_ = {};
        return good;
    }
    bool give(std::string_view bytes, int flush) {
        // zlib takes what it does not change by a pointer that is not const.
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            stream_.next_out = reinterpret_cast<Bytef*>(block_->data());
            stream_.avail_out = static_cast<uInt>(block_->size());
            broken_ = deflate(&stream_, flush) == Z_STREAM_ERROR;
            const auto size = block_->size() - stream_.avail_out;
            if (broken_ || (size > 0 && !sink_({block_->data(), size}))) {
                return false;
            }
        } while (stream_.avail_out == 0);
        return true;
    }

    Sink sink_;
    z_stream stream_{};
    gz_header header_{};
    std::string name_;
    std::string comment_;
    bool open_ = false;
    bool broken_ = false;
    std::unique_ptr<std::array<char, kBlock>> block_ = std::make_unique<std::array<char, kBlock>>();
};

class RawPacker final : public Packer {
public:
    explicit RawPacker(Sink sink) : sink_(std::move(sink)) {}

    bool begin(const Member&) override { return true; }
    bool write(std::string_view bytes) override { return sink_(bytes); }
    bool finish() override { return true; }

private:
    Sink sink_;
};

}  // namespace

std::unique_ptr<Packer> gzipPacker(Sink sink) {
    return std::make_unique<GzipPacker>(std::move(sink));
}

std::unique_ptr<Packer> rawPacker(Sink sink) {
    return std::make_unique<RawPacker>(std::move(sink));
}

}  // namespace gridbridge::payload
