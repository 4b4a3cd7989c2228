#include "bridge/base/Random.h"

#include <string_view>

namespace gridbridge {

double Random::unit() {
    const std::lock_guard lock(mutex_);
    return std::uniform_real_distribution<double>(0.0, 1.0)(engine_);
}

std::string Random::name(std::size_t length) {
    static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    const std::lock_guard lock(mutex_);
    std::uniform_int_distribution<std::size_t> pick(0, kAlphabet.size() - 1);
    std::string text;
    for (std::size_t i = 0; i < length; ++i) {
        text += kAlphabet[pick(engine_)];
    }
    return text;
}

}  // namespace gridbridge
