#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "bridge/base/Clock.h"
#include "bridge/core/Capacity.h"

namespace gridbridge::core {

/// Watches the room on the state disk. Below `least` bytes nothing is claimed, until there is a
/// tenth more; open jobs go on. Owner thread only; all references must outlive it.
class StateDisk {
public:
    /// Free bytes; nothing when they cannot be told, which changes nothing.
    using Free = std::function<std::optional<std::uint64_t>()>;

    StateDisk(const Clock& clock, Capacity& capacity, spdlog::logger& log, Free free,
              std::uint64_t least)
        : clock_(clock), capacity_(capacity), log_(log), free_(std::move(free)), least_(least) {}

    void keep(std::uint64_t least) {
        least_ = least;
        next_ = {};
    }
    /// Looks every few seconds; returns when it is due again.
    SteadyTime step();

private:
    const Clock& clock_;
    Capacity& capacity_;
    spdlog::logger& log_;
    const Free free_;
    std::uint64_t least_;
    bool scarce_ = false;
    SteadyTime next_ = {};
};

}  // namespace gridbridge::core
