#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace gridbridge {

/// Row number of a job in the database; the `<job row>` of its keys.
enum class JobRow : std::int64_t {};

/// Names one attempt to run a job, for ever: `gb-<installation>-<job row>-<attempt>`, [a-z0-9-].
/// It is the name of the batch job and of its folder.
struct SubmissionKey {
    std::string value;
    auto operator<=>(const SubmissionKey&) const = default;
};

/// The batch system's own id. Ids are reused: never an identity without the key.
struct RemoteId {
    std::string value;
    auto operator<=>(const RemoteId&) const = default;
};

}  // namespace gridbridge

template <>
struct std::hash<gridbridge::SubmissionKey> {
    std::size_t operator()(const gridbridge::SubmissionKey& key) const noexcept {
        return std::hash<std::string>{}(key.value);
    }
};
