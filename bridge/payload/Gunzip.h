#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bridge/base/Result.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

/// What gzip members, one after the other, hold, in pieces of at most 64 KiB however small they
/// were packed. One thread at a time.
class Gunzip {
public:
    explicit Gunzip(Pieces packed);
    ~Gunzip();
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    /// Valid until the next call; empty = the end. Permanent error when it is no gzip, damaged or
    /// cut; an error of the pieces as it is.
    Result<std::string_view> next();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::payload
