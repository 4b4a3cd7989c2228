#pragma once

#include "backends/arc/ArcBackend.h"
#include "tests/engines/ArcEngine.h"
#include "tests/engines/EngineHarness.h"

namespace gridbridge::testing {

class ArcHarness final : public EngineHarness<ArcEngine, ArcBackend, ArcConfig> {
public:
    ArcHarness()
        : EngineHarness({.url = engine().setting("ARC_URL"),
                         .tls = {engine().setting("ARC_CA_FILE"), engine().setting("ARC_CERT"),
                                 engine().setting("ARC_KEY")}},
                        "", 2) {
        std::filesystem::permissions(temp_.path(), std::filesystem::perms(0777));
    }

    BatchJob job(int number, const JobPlan& plan) override {
        auto result = EngineHarness::job(number, plan);
        // Its session folder is gone once it is released.
        const std::string there = "out/starts";
        const auto at = result.loader.find(there);
        result.loader.replace(at, there.size(), counter(result));
        return result;
    }
    int starts(const BatchJob& job) override {
        return static_cast<int>(readFile(counter(job)).size());
    }
    bool tellsTimes() override { return false; }  // Not before its end.
    bool removesLater() override { return true; }

private:
    std::string counter(const BatchJob& job) { return temp_.path() / ("starts-" + job.key.value); }

    TempDir temp_;  ///< Jobs, which are another account's, write there.
};

}  // namespace gridbridge::testing
