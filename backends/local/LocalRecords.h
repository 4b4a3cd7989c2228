#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "backends/local/LocalRecord.h"
#include "bridge/base/Fd.h"

namespace gridbridge {

/// The local backend's memory: one file per job in `<work_dir>/.local`, 0600, of the service's
/// account. A file begins with the job's inputs; then every change of its record is appended, and
/// the last complete one counts. So a change costs one write to the disk, and a torn one, after a
/// power failure, is none. Safe for concurrent use, but for two calls about the same key.
class LocalRecords {
public:
    struct Loaded {
        SubmissionKey key;
        Result<LocalRecord> record;
    };

    /// Makes the folder. Throws std::runtime_error when it cannot be used.
    explicit LocalRecords(const std::filesystem::path& workDir);

    /// All there are; removes those whose creation was interrupted. Throws std::runtime_error
    /// when the folder cannot be read.
    std::vector<Loaded> load();
    /// A new file. After a power failure it may be absent until `sync` was well. Transient or
    /// Permanent: there is none.
    Result<void> create(const LocalRecord& record, std::span<const folder::StagedFile> inputs);
    /// What was created is there for good from here on. Uncertain otherwise.
    Result<void> sync();
    /// What `create` was given.
    Result<std::vector<folder::StagedFile>> inputs(const SubmissionKey& key);
    /// Durably replaces the record. Otherwise the old one stands, or after Uncertain either.
    Result<void> update(const LocalRecord& record);
    /// Well when there is none.
    Result<void> remove(const SubmissionKey& key);
    /// Whether records can be written now, and the disk has room for a job: Transient or Permanent.
    Result<void> probe();

private:
    Result<void> createFile(const std::string& name, const std::string& content);
    /// Nothing: the file holds no complete record.
    std::optional<Result<LocalRecord>> loadOne(const SubmissionKey& key);

    const std::filesystem::path workDir_;
    Fd dir_;
};

}  // namespace gridbridge
