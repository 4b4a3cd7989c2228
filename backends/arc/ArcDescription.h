#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/http/TlsFiles.h"

namespace gridbridge {

struct ArcConfig {
    std::string url = {};                  ///< Of the A-REX, up to `/arex`.
    http::TlsFiles tls = {};               ///< Our certificate, or a proxy, among them.
    std::filesystem::path tokenFile = {};  ///< With a bearer token, instead of a certificate.
    std::string queue = {};                ///< Of jobs that ask for none; empty: ARC's choice.
    bool operator==(const ArcConfig&) const = default;
};

/// The program that ARC runs, in the job's session folder. It runs the loader there, and ends with
/// its exit code. What of the job still runs when a file `in/kill` appears, or the folder is gone,
/// it ends.
inline constexpr const char* kArcProgram = "gridbridge.sh";
std::string arcProgram();

/// In xRSL. `inputs`: names in `in/`. Nothing that a user wrote is in it. Permanent: a name is no
/// plain one.
Result<std::string> arcDescription(const ArcConfig& config, const BatchJob& job,
                                   const std::vector<std::string>& inputs, WallTime now);

}  // namespace gridbridge
