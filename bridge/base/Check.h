#pragma once

namespace gridbridge::detail {
[[noreturn]] void checkFailed(const char* condition, const char* file, int line) noexcept;
}

/// Aborts when an own invariant is broken, in every build. Never for input from outside.
#define BRIDGE_CHECK(condition) \
    ((condition) ? void(0) : ::gridbridge::detail::checkFailed(#condition, __FILE__, __LINE__))
