#pragma once

#include <cstdint>

namespace gridbridge::simulation {

/// The number in the environment variable, else `otherwise`.
std::uint64_t numberFrom(const char* variable, std::uint64_t otherwise);
/// SIMULATION_BASE, else another one in every process.
std::uint64_t base();

}  // namespace gridbridge::simulation
