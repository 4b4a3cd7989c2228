#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"
#include "bridge/http/Transport.h"

namespace gridbridge::http {

/// A multipart/form-data body of one part `file`, read from an open file. The same file under the
/// same name gives the same bytes. One thread at a time, one use.
class Multipart {
public:
    /// Permanent when the file cannot be opened or is not a regular file; links are not followed.
    static Result<Multipart> open(const FilePart& part);

    std::string contentType() const;
    std::int64_t length() const { return length_; }
    /// False = the file has become shorter since open(), or `out` failed.
    bool writeTo(std::ostream& out) const;

private:
    Multipart(Fd file, std::int64_t fileLength, const std::string& filename);

    Fd file_;
    std::int64_t fileLength_ = 0;
    std::string boundary_;
    std::string head_;
    std::string tail_;
    std::int64_t length_ = 0;
};

}  // namespace gridbridge::http
