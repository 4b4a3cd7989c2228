#pragma once

#include <spdlog/logger.h>

#include "bridge/base/Clock.h"
#include "bridge/core/Trace.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::core {

/// Deletes rows and traces of jobs that have ended longer than `retention` ago, a bounded number at
/// a time. Owner thread only; all references must outlive it.
class Housekeeper {
public:
    static constexpr std::size_t kBatch = 200;

    Housekeeper(const Clock& clock, store::JobStore& store, const Trace& trace, spdlog::logger& log,
                Millis retention)
        : clock_(clock), store_(store), trace_(trace), log_(log), retention_(retention) {}

    void keepFor(Millis retention) { retention_ = retention; }
    /// Looks once an hour, and goes on at once while there is more; returns when it is due again.
    /// Throws StoreError.
    SteadyTime step();

private:
    const Clock& clock_;
    store::JobStore& store_;
    const Trace& trace_;
    spdlog::logger& log_;
    Millis retention_;
    SteadyTime next_ = {};
};

}  // namespace gridbridge::core
