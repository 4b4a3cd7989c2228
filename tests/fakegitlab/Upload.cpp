#include "tests/fakegitlab/Upload.h"

#include <Poco/Net/MessageHeader.h>
#include <Poco/Net/NameValueCollection.h>

#include <functional>
#include <sstream>

#include "tests/fakegitlab/Sha256.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::size_t kBlock = std::size_t{64} << 10U;
constexpr std::size_t kHead = 16;

using Sink = std::function<void(std::string_view)>;
using Poco::Net::MessageHeader;
using Poco::Net::NameValueCollection;

/// The bytes of a body, up to one mark after the other.
class Marked {
public:
    /// The first boundary has no line end before it: one is put there.
    explicit Marked(std::istream& in) : in_(in), buffer_("\r\n") {}

    /// Hands on what stands before `mark`, and goes behind it; false = it does not come.
    bool passUntil(std::string_view mark, const Sink& sink) {
        for (;;) {
            const auto found = buffer_.find(mark);
            if (found != std::string::npos) {
                sink(std::string_view(buffer_).substr(0, found));
                buffer_.erase(0, found + mark.size());
                return true;
            }
            // The end may be the beginning of the mark.
            const auto surely = buffer_.size() - std::min(buffer_.size(), mark.size() - 1);
            sink(std::string_view(buffer_).substr(0, surely));
            buffer_.erase(0, surely);
            if (!fill()) {
                return false;
            }
        }
    }
    bool startsWith(std::string_view text) {
        while (buffer_.size() < text.size() && fill()) {
        }
        return buffer_.starts_with(text);
    }
    void drain() {
        do {
            buffer_.clear();
        } while (fill());
    }
    std::uint64_t read() const { return read_; }

private:
    bool fill() {
        const auto old = buffer_.size();
        buffer_.resize(old + kBlock);
        in_.read(buffer_.data() + old, static_cast<std::streamsize>(kBlock));
        const auto got = static_cast<std::size_t>(in_.gcount());
        buffer_.resize(old + got);
        read_ += got;
        return got > 0;
    }

    std::istream& in_;
    std::string buffer_;
    std::uint64_t read_ = 0;
};

Sink into(std::string& text) {
    return [&text](std::string_view piece) {
        text.append(piece.substr(0, kBlock - std::min(kBlock, text.size())));
    };
}

NameValueCollection parametersOf(const std::string& header) {
    std::string value;
    NameValueCollection parameters;
    MessageHeader::splitParameters(header, value, parameters);
    return parameters;
}

NameValueCollection dispositionOf(const std::string& headers) {
    std::istringstream in(headers + "\r\n\r\n");
    MessageHeader header;
    header.read(in);
    return parametersOf(header.get("Content-Disposition", ""));
}

bool readFile(Marked& in, const std::string& mark, std::uint64_t keep, Upload& upload) {
    Sha256 hash;
    upload.hasFile = true;
    const bool ended = in.passUntil(mark, [&](std::string_view piece) {
        hash.add(piece);
        upload.head.append(piece.substr(0, kHead - upload.head.size()));
        upload.size += piece.size();
        if (upload.size <= keep) {
            upload.bytes.append(piece);
        } else {
            std::string().swap(upload.bytes);
        }
    });
    upload.sha256 = hash.hex();
    return ended;
}

}  // namespace

Upload readUpload(std::istream& body, const std::string& contentType, std::uint64_t keep) {
    Upload result;
    Marked in(body);
    const auto mark = "\r\n--" + parametersOf(contentType).get("boundary", "none");
    std::string around = mark;  // All but the file itself.
    bool more = in.passUntil(mark, into(around));
    while (more && !in.startsWith("--")) {
        std::string headers;
        more = in.passUntil("\r\n\r\n", into(headers));
        const auto names = dispositionOf(headers.substr(std::min<std::size_t>(headers.size(), 2)));
        around += headers;
        if (names.get("name", "") == "file" && names.has("filename")) {
            result.filename = names.get("filename");
            more = more && readFile(in, mark, keep, result);
        } else {
            auto& field = result.fields[names.get("name", "")];
            more = more && in.passUntil(mark, into(field));
            around += field;
        }
    }
    result.whole = more;
    in.drain();
    result.bodyBytes = in.read();
    result.bodyHash = std::hash<std::string>{}(around + result.sha256);
    return result;
}

}  // namespace gridbridge::fakegitlab
