#include "bridge/http/Multipart.h"

#include <Poco/SHA1Engine.h>

#include <ostream>

namespace gridbridge::http {

namespace {

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

/// Computed, so that no file that quotes this program, or an upload of another job, contains it.
std::string boundaryFor(const std::string& filename, const std::string& path) {
    Poco::SHA1Engine hash;
    hash.update("boundary of " + filename + " for " + path);
    return "gridbridge-" + Poco::DigestEngine::digestToHex(hash.digest());
}

}  // namespace

Multipart::Multipart(const FilePart& part, const std::string& path)
    : part_(part), boundary_(boundaryFor(part.filename, path)) {}

std::string Multipart::contentType() const {
    return "multipart/form-data; boundary=" + boundary_;
}

bool Multipart::writeTo(std::ostream& out) {
    out << "--" << boundary_ << "\r\nContent-Disposition: form-data; name=\"file\"; filename=\""
        << printable(part_.filename) << "\"\r\nContent-Type: application/octet-stream\r\n\r\n";
    const auto written = part_.write([&](std::string_view bytes) {
        return bool(out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())));
    });
    if (!out.good()) {
        return false;
    }
    if (!written) {
        broken_ = written.error();
        return false;
    }
    out << "\r\n--" << boundary_ << "--\r\n";
    return out.good();
}

}  // namespace gridbridge::http
