#include "backends/simulated/SimulatedFaults.h"

#include <array>

namespace gridbridge {

namespace {

struct Kind {
    std::string_view name;
    double rate;  ///< At level 1.
};
constexpr std::array<Kind, kSimulatedFaults> kKinds{{{"acknowledgement-lost", 0.2},
                                                     {"acknowledgement-false", 0.1},
                                                     {"node-failed", 0.08},
                                                     {"job-lost", 0.06},
                                                     {"id-reused", 0.3},
                                                     {"run-lost-early", 0.08},
                                                     {"run-lost-late", 0.06},
                                                     {"outputs-late", 0.3},
                                                     {"absent-for-a-while", 0.25},
                                                     {"log-shorter", 0.1},
                                                     {"call-hangs", 0.03},
                                                     {"outage", 0.08},
                                                     {"answer-partial", 0.1}}};

const Kind& kindOf(SimulatedFault fault) {
    return kKinds.at(static_cast<std::size_t>(fault));
}

/// FNV-1a, with an end mark so that joined texts differ.
std::uint64_t mixed(std::uint64_t hash, std::string_view text) {
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    return (hash ^ 0xFFU) * 0x100000001B3ULL;
}

}  // namespace

double seededUnit(std::uint64_t seed, std::string_view purpose, std::string_view what) {
    std::uint64_t hash = mixed(mixed(0xCBF29CE484222325ULL ^ seed, purpose), what);
    // The finalizer of SplitMix64: FNV leaves its high bits poorly mixed.
    hash = (hash ^ (hash >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    hash = (hash ^ (hash >> 27U)) * 0x94D049BB133111EBULL;
    hash ^= hash >> 31U;
    constexpr double kSteps = 9007199254740992.0;  // 2^53
    return static_cast<double>(hash >> 11U) / kSteps;
}

std::string_view nameOf(SimulatedFault fault) {
    return kindOf(fault).name;
}

bool SimulatedFaults::strikes(SimulatedFault fault, std::string_view what) const {
    const auto& kind = kindOf(fault);
    return seededUnit(seed_, kind.name, what) < kind.rate * level_;
}

double SimulatedFaults::detail(SimulatedFault fault, std::string_view what) const {
    return seededUnit(seed_ + 1, kindOf(fault).name, what);
}

}  // namespace gridbridge
