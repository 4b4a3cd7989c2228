#include "bridge/http/Multipart.h"

#include <Poco/SHA1Engine.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <ostream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace gridbridge::http {

namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10U;
constexpr std::size_t kLongestName = 255;

std::string printable(const std::string& filename) {
    auto result = filename.substr(0, kLongestName);
    for (auto& c : result) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x20 || code == 0x7f || c == '"' || c == '\\' || c == '/') {
            c = '_';
        }
    }
    return result;
}

/// Computed, so that no file that quotes this program contains it.
std::string boundaryFor(const std::string& filename, std::int64_t length) {
    Poco::SHA1Engine hash;
    hash.update("boundary of " + filename + " of " + std::to_string(length) + " bytes");
    return "gridbridge-" + Poco::DigestEngine::digestToHex(hash.digest());
}

Error unreadable(const FilePart& part, const std::string& why) {
    return permanentError("cannot read " + printable(part.path.filename().string()) + ": " + why);
}

}  // namespace

Result<Multipart> Multipart::open(const FilePart& part) {
    Fd file(::open(part.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) {
        return unreadable(part, std::generic_category().message(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return unreadable(part, "it is not a regular file");
    }
    return Multipart(std::move(file), status.st_size, printable(part.filename));
}

Multipart::Multipart(Fd file, std::int64_t fileLength, const std::string& filename)
    : file_(std::move(file)),
      fileLength_(fileLength),
      boundary_(boundaryFor(filename, fileLength)),
      head_("--" + boundary_ + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" +
            filename + "\"\r\nContent-Type: application/octet-stream\r\n\r\n"),
      tail_("\r\n--" + boundary_ + "--\r\n"),
      length_(fileLength + static_cast<std::int64_t>(head_.size() + tail_.size())) {}

std::string Multipart::contentType() const {
    return "multipart/form-data; boundary=" + boundary_;
}

bool Multipart::writeTo(std::ostream& out) const {
    out << head_;
    std::vector<char> piece(kPiece);
    for (std::int64_t at = 0; at < fileLength_;) {
        const auto wanted =
            std::min<std::int64_t>(fileLength_ - at, static_cast<std::int64_t>(kPiece));
        const auto got = ::pread(file_.get(), piece.data(), static_cast<std::size_t>(wanted), at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || !out.write(piece.data(), got)) {
            return false;
        }
        at += got;
    }
    out << tail_;
    return out.good();
}

}  // namespace gridbridge::http
