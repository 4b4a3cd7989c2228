#pragma once

#include <cstdint>
#include <string>

#include "bridge/base/Clock.h"

namespace gridbridge::core {

/// Says now and then how far a transfer has come that takes long: the first time after ten seconds,
/// then for each tenth of it, at most every ten seconds and at least once a minute. One thread at a
/// time.
class TransferMeter {
public:
    /// `whole`: bytes of all of it; 0 = unknown. `clock` outlives the meter.
    TransferMeter(Clock& clock, std::int64_t whole);

    /// For a line of the log (`512 MiB, 34 %`); empty while nothing is to be said. `done` bytes of
    /// the whole are through, which `moved` bytes on the network were needed for.
    std::string at(std::int64_t done, std::int64_t moved);

private:
    Clock& clock_;
    std::int64_t whole_;
    SteadyTime told_;
    std::int64_t tenths_ = -1;  ///< Of it that were told.
};

}  // namespace gridbridge::core
