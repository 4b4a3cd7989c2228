#include "bridge/base/Check.h"

#include <cstdio>
#include <cstdlib>

namespace gridbridge::detail {

void checkFailed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "gridbridge: broken invariant: %s at %s:%d\n", condition, file, line);
    std::abort();
}

}  // namespace gridbridge::detail
