#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"

namespace gridbridge::app {

/// How far a trace may be shown: bytes behind `length` may still change.
struct TraceExtent {
    std::int64_t length = 0;
    bool done = false;
};

/// Writes `file` from its start to `out` and, until `look` says done, what it gains, looking once
/// a second. Permanent error: there are no such bytes.
Result<void> followTrace(const std::filesystem::path& file,
                         const std::function<TraceExtent()>& look, Clock& clock, std::ostream& out);

}  // namespace gridbridge::app
