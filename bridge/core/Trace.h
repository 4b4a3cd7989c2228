#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Result.h"
#include "bridge/gitlab/Masker.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::core {

/// New bytes for one trace, in the order in which they are written.
struct TraceNews {
    std::string_view before = {};  ///< Bridge lines.
    std::string_view raw = {};     ///< Batch log from the stored raw offset.
    bool end = false;              ///< Nothing follows `raw`.
    std::string_view after = {};   ///< Bridge lines.
    bool timestamps = false;       ///< The job wants a time before every line.
    WallTime at = {};              ///< That time.
};

/// The traces of all jobs: `<folder>/<job key>.log`, masked, exactly what GitLab has or will get.
/// Bytes below the committed length never change; bytes beyond it are a torn tail that the next
/// write replaces. Owner thread only, but for `read`, which is safe for concurrent use.
class Trace {
public:
    /// Bytes kept free below the limit for the bridge's own last lines, half of a small limit.
    static constexpr std::int64_t kReserve = 64 * 1024;

    explicit Trace(std::filesystem::path folder);

    /// The first line of a trace decides whether it has timestamps: GitLab must not see both.
    /// Where the disk has lost it `news` decides.
    /// Writes the news behind `job.traceLength` and moves the trace fields of `job` on. The job
    /// goes on when `limit` (bytes of batch log and lines) is reached; a notice says so once.
    /// Error = nothing of `job` has changed; the same call may be repeated.
    Result<void> append(store::JobRecord& job, const std::string& jobKey, const TraceNews& news,
                        const gitlab::Masker& masker, std::int64_t limit);

    /// At most `limit` bytes from `offset`; fewer at the end of the file.
    Result<std::string> read(const std::string& jobKey, std::int64_t offset,
                             std::size_t limit) const;
    /// Bytes in the file; nothing when that cannot be told.
    std::optional<std::int64_t> size(const std::string& jobKey) const;
    std::filesystem::path path(const std::string& jobKey) const;

private:
    class Lines;
    Lines linesFor(const store::JobRecord& job, const std::string& jobKey,
                   const TraceNews& news) const;

    std::filesystem::path folder_;
};

}  // namespace gridbridge::core
