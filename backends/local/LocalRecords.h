#pragma once

#include <filesystem>
#include <vector>

#include "backends/local/LocalRecord.h"
#include "bridge/base/Fd.h"

namespace gridbridge {

/// The local backend's memory: one file per job in `<work_dir>/.local`, 0600, of the service's
/// account. A file is replaced as a whole, so that it is never seen half-written. Safe for
/// concurrent use, but for two calls about the same key.
class LocalRecords {
public:
    struct Loaded {
        SubmissionKey key;
        Result<LocalRecord> record;
    };

    /// Makes the folder. Throws std::runtime_error when it cannot be used.
    explicit LocalRecords(const std::filesystem::path& workDir);

    /// All there are; removes what an interrupted write left. Throws std::runtime_error when the
    /// folder cannot be read.
    std::vector<Loaded> load();
    /// Transient: the old record, if any, stands. A power failure may still undo it before
    /// `sync`.
    Result<void> write(const LocalRecord& record);
    /// What was written or removed survives a power failure from here on. Uncertain otherwise.
    Result<void> sync();
    /// write and sync.
    Result<void> save(const LocalRecord& record);
    /// Well when there is none.
    Result<void> remove(const SubmissionKey& key);
    /// Whether records can be written now: Transient or Permanent.
    Result<void> probe();

private:
    Result<void> writeFile(const std::string& name, const std::string& content);

    Fd dir_;
};

}  // namespace gridbridge
