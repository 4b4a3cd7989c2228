#pragma once

#include <memory>
#include <optional>

#include "bridge/base/Result.h"
#include "bridge/base/Sink.h"
#include "bridge/payload/Member.h"

namespace gridbridge::payload {

/// The files, folders and links of an archive of another job, in its order: a zip, or a tar packed
/// by gzip or zstd. What it holds is unpacked piece by piece. One thread at a time.
class ArchiveReader {
public:
    /// `file` can be sought in, stays open and the caller's; its offset does not count.
    explicit ArchiveReader(int file);
    ~ArchiveReader();
    ArchiveReader(const ArchiveReader&) = delete;
    ArchiveReader& operator=(const ArchiveReader&) = delete;

    /// The next one, with a name that leads nowhere else; nothing = the end. Names may come twice
    /// and in any order. Permanent error, to be read after "cannot be used: ", for everything that
    /// checkDependency() says of a single one, or of their number and size.
    Result<std::optional<Member>> next();
    /// The bytes of the file that next() gave, for as long as `sink` takes them. Permanent error
    /// when they are not what the archive says of them.
    Result<void> content(const Sink& sink);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::payload
