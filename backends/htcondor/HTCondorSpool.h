#pragma once

#include "backends/htcondor/HTCondorParse.h"

namespace gridbridge {

// Jobs whose files go through their schedd's spool.

/// Its files are on the way to the spool, or nobody sends them any more.
bool isUnsent(const HTCondorJob& job);
bool isBeingSent(const HTCondorListing& listing, const std::string& key);
/// It was removed as such, and never began.
bool wasNeverSent(const HTCondorJob& job);

}  // namespace gridbridge
