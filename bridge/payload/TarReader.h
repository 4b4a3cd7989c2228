#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "bridge/base/Result.h"
#include "bridge/base/Sink.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Member.h"

namespace gridbridge::payload {

/// The files, folders and links of a gzip-compressed tar archive as the collection on a node writes
/// it, one after the other, in constant memory. One thread at a time.
class TarReader {
public:
    /// No bytes at all are an archive of nothing.
    explicit TarReader(Pieces tarball);
    ~TarReader();
    TarReader(const TarReader&) = delete;
    TarReader& operator=(const TarReader&) = delete;

    /// The next one; nothing = the end. Permanent error when the archive is damaged, is larger than
    /// 1,000,000 entries or 10 GiB unpacked, or holds what no collection writes: hard links,
    /// devices, sparse files, names that lead out, are not in bytewise order or come twice, more
    /// than its files. An error of the tarball as it is. Names that are no UTF-8, and what lies
    /// below something that is no folder, are left out and counted.
    Result<std::optional<Member>> next();
    /// The bytes of the file that next() gave, for as long as `sink` takes them.
    Result<void> content(const Sink& sink);
    std::int64_t unreadable() const;
    /// Whoever unpacks "a" as a link and then "a/b" would write where the link leads.
    std::int64_t behindLinks() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::payload
