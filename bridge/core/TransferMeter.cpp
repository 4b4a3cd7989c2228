#include "bridge/core/TransferMeter.h"

#include <algorithm>

namespace gridbridge::core {

TransferMeter::TransferMeter(Clock& clock, std::int64_t whole)
    : clock_(clock), whole_(whole), told_(clock.steadyNow()) {}

std::string TransferMeter::at(std::int64_t done, std::int64_t moved) {
    constexpr Millis kSoonest{10000};
    constexpr Millis kLatest{60000};
    const auto passed = clock_.steadyNow() - told_;
    if (passed < kSoonest) {
        return "";
    }
    const auto percent = whole_ > 0 ? std::clamp<std::int64_t>(done * 100 / whole_, 0, 100) : 0;
    if (percent / 10 <= tenths_ && passed < kLatest) {
        return "";
    }
    told_ = clock_.steadyNow();
    tenths_ = percent / 10;
    const auto text = std::to_string(moved >> 20) + " MiB";
    return whole_ > 0 ? text + ", " + std::to_string(percent) + " %" : text;
}

}  // namespace gridbridge::core
