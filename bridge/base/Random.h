#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

namespace gridbridge {

/// Source of randomness for jitter and names, injected so that a run can be repeated from its
/// seed. Safe for concurrent use. Not for keys: those come from OpenSSL.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}

    /// Uniform in [0, 1).
    double unit();
    /// `length` characters of [a-z0-9].
    std::string name(std::size_t length);

private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

}  // namespace gridbridge
