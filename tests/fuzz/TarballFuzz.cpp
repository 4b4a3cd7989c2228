#include <array>
#include <sys/mman.h>
#include <utility>
#include <zlib.h>

#include "bridge/base/Fd.h"
#include "bridge/payload/TarReader.h"
#include "bridge/payload/ZipWriter.h"
#include "tests/fuzz/Fuzz.h"

// Input: a tar archive, which is compressed here: hardly any other bytes have gzip's checksum.

namespace gridbridge::fuzz {

namespace {

std::string compressed(std::string_view text) {
    constexpr int kGzip = 15 + 16;
    z_stream stream{};
    require(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK,
            "zlib starts");
    std::string result(deflateBound(&stream, text.size()), '\0');
    std::string from(text);
    stream.next_in = reinterpret_cast<Bytef*>(from.data());
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib compresses");
    result.resize(stream.total_out);
    deflateEnd(&stream);
    return result;
}

Fd memory() {
    return Fd(::memfd_create("fuzz", MFD_CLOEXEC));
}

bool leadsOut(std::string_view name) {
    return name.empty() || name.front() == '/' ||
           ("/" + std::string(name) + "/").find("/../") != std::string::npos;
}

}  // namespace

void tryWith(std::string_view input) {
    std::string rest = compressed(input);
    const payload::Pieces tarball = [&rest]() -> Result<std::string> {
        return std::exchange(rest, {});
    };
    const Fd spool = memory();
    std::int64_t unreadable = 0;
    const auto members = payload::readTarball(
        tarball, spool.get(), [](const std::string&) { return true; }, unreadable);
    if (!members) {
        return;
    }
    for (const auto& [name, member] : *members) {
        require(!leadsOut(name), "no name leads out of the project");
        require(member.size >= 0 && member.offset >= 0 && member.mode <= 07777U,
                "numbers are sane");
    }
    const Fd zip = memory();
    require(payload::writeZip(*members, spool.get(), zip.get()).ok(), "what was read is packed");
}

}  // namespace gridbridge::fuzz
