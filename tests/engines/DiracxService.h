#pragma once

#include <string>

#include "tests/engines/DiracxEngine.h"
#include "tests/engines/EngineService.h"

namespace gridbridge::testing {

/// The service on a real DiracX.
class DiracxService : public EngineService {
protected:
    std::string key(fakegitlab::JobId id) const { return submission(id, "key"); }
    /// Jobs get their numbers in the order in which GitLab hands them out.
    void faultAtJob(const std::string& words, std::size_t number) {
        diracx.fault(words + " --name 'gb-*-" + std::to_string(number) + "-1'");
    }
    void expectWhole(fakegitlab::JobId id, const std::string& name) {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.status, fakegitlab::Status::Success) << plain(job.trace);
        EXPECT_TRUE(isWhole(job)) << plain(job.trace);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(starts(name), 1);
        EXPECT_EQ(diracx.named(key(id)), 1);
    }

    int refreshes() const { return timesIn(diracx.calls(), "POST_/api/auth/token"); }
    static int timesIn(const std::string& text, const std::string& word) {
        int times = 0;
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
            ++times;
        }
        return times;
    }

    DiracxEngine& diracx = DiracxEngine::get();
};

}  // namespace gridbridge::testing
