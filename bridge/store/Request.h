#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"

namespace gridbridge::store {

enum class RequestKind { Cancel, Drain, Resume };
/// Refused = there was nothing the service could do; `result` says why.
enum class RequestState { Open, Done, Refused };

std::string_view nameOf(RequestKind kind);
std::string_view nameOf(RequestState state);

/// What a command asks of the service; row of table `request`.
struct Request {
    std::int64_t id = 0;
    RequestKind kind = RequestKind::Cancel;
    std::optional<JobRow> job = {};  ///< Of a cancel.
    std::string runner = {};         ///< Of drain and resume; empty = all.
    WallTime askedAt = {};
    RequestState state = RequestState::Open;
    std::optional<WallTime> settledAt = {};
    std::string result = {};  ///< What became of it, one line.
    bool operator==(const Request&) const = default;
};

/// What the service did about a request, stored together with its other changes.
struct Settlement {
    std::int64_t request = 0;
    RequestState state = RequestState::Done;
    std::string result = {};
    std::vector<std::string> runners = {};  ///< Those that now drain, or not any more.
    bool draining = false;
};

/// Writes `request` into the database of `folder`, which must exist, beside a running or stopped
/// service; returns its id. Throws StoreError.
std::int64_t addRequest(const std::filesystem::path& folder, const Request& request);

}  // namespace gridbridge::store
