#pragma once

#include <string>

namespace gridbridge {

/// Why a job waits: the negotiator's words (`LastRejMatchReason`), behind plain ones.
std::string whyNotMatched(const std::string& reason);

}  // namespace gridbridge
