#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/http/Server.h"
#include "bridge/http/TlsFiles.h"

namespace gridbridge {

/// Where the logs of running jobs are posted to.
struct LiveLogConfig {
    http::ListenAddress listen = {};
    std::string url = {};         ///< Of the receiver, as nodes reach it; empty = nothing listens.
    http::TlsFiles tls = {};      ///< Its own certificate and key; `ca`: what nodes check it by.
    std::uint64_t leastFree = 0;  ///< Bytes on the disk of `work_dir`, below which nothing is kept.
    Millis period{5000};          ///< Between two posts of a node.
    bool operator==(const LiveLogConfig&) const = default;
};

}  // namespace gridbridge
