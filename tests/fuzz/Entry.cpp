#include <cstddef>
#include <cstdint>

#include "tests/fuzz/Fuzz.h"

/// libFuzzer's entry.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    gridbridge::fuzz::tryWith({reinterpret_cast<const char*>(data), size});
    return 0;
}
