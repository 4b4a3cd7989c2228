#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "bridge/base/Result.h"
#include "bridge/http/Transport.h"

namespace gridbridge::http {

/// A multipart/form-data body of the one part `file`. Bytes that are the same, under the same name
/// and for the same path, give the same body. One thread at a time.
class Multipart {
public:
    /// `part` must outlive this. `path` is the request's.
    Multipart(const FilePart& part, const std::string& path);

    std::string contentType() const;
    /// False = not everything was written: `out` failed, or the part did, and then broken() says
    /// why.
    bool writeTo(std::ostream& out);
    const std::optional<Error>& broken() const { return broken_; }

private:
    const FilePart& part_;
    std::string boundary_;
    std::optional<Error> broken_;
};

}  // namespace gridbridge::http
