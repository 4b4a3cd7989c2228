#pragma once

namespace gridbridge {

/// Ends the process at once, as kill -9 would, when GRIDBRIDGE_CRASH_POINT names this point, at
/// its n-th visit with GRIDBRIDGE_CRASH_POINT=name:n. Does nothing in builds without tests.
/// The names are those of docs/job-lifecycle.md.
#ifdef BRIDGE_CRASH_POINTS
void crashPoint(const char* name) noexcept;
#else
inline void crashPoint(const char*) noexcept {}
#endif

}  // namespace gridbridge
