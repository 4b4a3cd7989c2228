#pragma once

#include <string>
#include <utility>

#include "tests/engines/EngineHarness.h"
#include "tests/fakes/FreePort.h"

namespace gridbridge::testing {

/// For jobs whose folder on the node is gone when they have ended: they count their starts
/// elsewhere.
template <typename BatchEngine, typename SchedulerBackend, typename Config>
class DiracHarness : public EngineHarness<BatchEngine, SchedulerBackend, Config> {
public:
    BatchJob job(int number, const JobPlan& plan) override {
        auto result = EngineHarness<BatchEngine, SchedulerBackend, Config>::job(number, plan);
        const std::string there = "out/starts";
        const auto at = result.loader.find(there);
        result.loader.replace(at, there.size(), counter(result));
        return result;
    }
    int starts(const BatchJob& job) override {
        return static_cast<int>(readFile(counter(job)).size());
    }

protected:
    explicit DiracHarness(Config settings)
        : EngineHarness<BatchEngine, SchedulerBackend, Config>(withLiveLog(std::move(settings)), "",
                                                               2) {}

private:
    static Config withLiveLog(Config settings) {
        settings.live.listen = {"127.0.0.1", freePort(), true};
        settings.live.url = "http://127.0.0.1:" + std::to_string(settings.live.listen.port);
        settings.live.period = Millis(300);
        return settings;
    }
    std::string counter(const BatchJob& job) { return temp_.path() / ("starts-" + job.key.value); }

    TempDir temp_;
};

}  // namespace gridbridge::testing
