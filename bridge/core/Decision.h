#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bridge/core/Facts.h"

namespace gridbridge::core {

/// What comes next for one job: the row to store, the bytes for its trace, the effects to start
/// once both are committed.
struct Decision {
    store::JobRecord next;
    std::string cause;      ///< Why the state changes; empty = it does not.
    std::string before;     ///< Trace bytes in front of the new log bytes.
    std::string after;      ///< Trace bytes behind them.
    bool endOfLog = false;  ///< Nothing follows the log bytes of these facts.
    bool forgetSecrets = false;
    EffectSet effects;
};

/// The table of docs/job-lifecycle.md. Pure: no I/O, no clock, no other input.
Decision decide(const store::JobRecord& job, const Facts& facts, WallTime now,
                const Policy& policy);

/// The same, for a reconciler whose decisions a test spoils.
using Decide = std::function<Decision(const store::JobRecord& job, const Facts& facts, WallTime now,
                                      const Policy& policy)>;

}  // namespace gridbridge::core
