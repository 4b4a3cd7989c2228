#pragma once

#include <memory>
#include <string_view>

#include "bridge/base/Sink.h"
#include "bridge/payload/Member.h"

namespace gridbridge::payload {

/// Writes a zip as GitLab wants it (job-execution 6.4) into a sink, the same bytes for the same
/// members; in memory stays its directory, about 100 bytes for each. Each call is false once the
/// sink takes no more, or, with broken(), when something cannot be written. One thread at a time.
class ZipWriter {
public:
    explicit ZipWriter(Sink sink);
    ~ZipWriter();
    ZipWriter(const ZipWriter&) = delete;
    ZipWriter& operator=(const ZipWriter&) = delete;

    /// The bytes of a file follow with write().
    bool begin(const Member& member);
    bool write(std::string_view bytes);
    bool finish();
    bool broken() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::payload
