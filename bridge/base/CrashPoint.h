#pragma once

#ifdef BRIDGE_CRASH_POINTS
#include <functional>
#include <string_view>
#endif

namespace gridbridge {

/// Ends the process at once, as kill -9 would, when GRIDBRIDGE_CRASH_POINT names this point, at
/// its n-th visit with GRIDBRIDGE_CRASH_POINT=name:n. Does nothing in builds without tests.
/// The names are those of docs/job-lifecycle.md.
#ifdef BRIDGE_CRASH_POINTS
void crashPoint(const char* name);
/// From now on `hook` hears of every point first, and may throw; an empty one ends that. For a
/// test whose threads take turns.
void onCrashPoint(std::function<void(std::string_view)> hook);
#else
inline void crashPoint(const char*) noexcept {}
#endif

}  // namespace gridbridge
