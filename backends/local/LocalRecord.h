#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

enum class LocalState { Pending, Running, Ended };

/// All that the local backend knows of one job.
struct LocalRecord {
    SubmissionKey key;
    std::string account;   ///< Empty = the service's own.
    std::uint64_t id = 0;  ///< Grows with submission: the order of the queue.
    WallTime submittedAt{};
    LocalState state = LocalState::Pending;
    std::optional<WallTime> removedAt = {};         ///< When a hard cancel was requested.
    std::optional<folder::ProcessId> process = {};  ///< While running, and after.
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> endedAt = {};
    EndCause cause = EndCause::None;
    std::optional<int> exitCode = {};
    std::optional<int> signal = {};
    bool scriptStarted = false;  ///< Known once it has ended.
    std::string reason = {};     ///< One line; why it could not run or did not end by itself.
    bool operator==(const LocalRecord&) const = default;
};

/// Lines `name=value`, without the key, which is the file's name.
std::string formatRecord(const LocalRecord& record);

/// Strict. Permanent: `text` is not what formatRecord writes.
Result<LocalRecord> parseRecord(const SubmissionKey& key, std::string_view text);

/// Names, sizes and contents, one file after the other.
std::string formatInputs(std::span<const folder::StagedFile> files);

/// Strict. Permanent: `text` is not what formatInputs writes.
Result<std::vector<folder::StagedFile>> parseInputs(const SubmissionKey& key,
                                                    std::string_view text);

}  // namespace gridbridge
