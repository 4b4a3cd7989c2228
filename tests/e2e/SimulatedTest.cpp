// The service with the backend that runs nothing, as a site tries it.
#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

class SimulatedEndToEnd : public EndToEnd {
protected:
    /// A service of its own, with an empty state folder, and jobs for it.
    void begin(const std::string& backendLines, int jobs) {
        end();
        home_.emplace();
        ids.clear();
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), home_->path);
        service->configure("", backendLines);
        auto config = readFile(service->config());
        const std::string local = "type = \"local\"";
        writeFile(service->config(),
                  config.replace(config.find(local), local.size(), "type = \"simulated\""));
        for (int i = 0; i < jobs; ++i) {
            ids.push_back(gitlab->addJob({.script = {"exit 1"}}));
        }
        start();
    }
    void end() {
        if (service) {
            EXPECT_EQ(service->stop(), 0);
        }
        service.reset();
    }
    /// What the jobs printed, each after the other.
    std::string logs() {
        std::string all;
        for (const auto id : ids) {
            const auto job = finished(id);
            EXPECT_EQ(job.status, fakegitlab::Status::Success);
            EXPECT_EQ(job.acceptedFinals, 1);
            for (const auto& line : linesOf(plain(job.trace))) {
                const bool own = line.starts_with("This is a simul") || line.starts_with("simul");
                all += own ? line + "\n" : "";
            }
        }
        return all;
    }

    std::vector<fakegitlab::JobId> ids;

private:
    std::optional<TempFolder> home_;
};

TEST_F(SimulatedEndToEnd, WithTheSameSeedItsJobsAreTheSameAgain) {
    constexpr auto kShortOnes = "seed = 19\n";
    begin(kShortOnes, 2);
    const auto first = logs();
    EXPECT_NE(first.find("This is a simulation of 5 seconds"), std::string::npos) << first;
    EXPECT_NE(first.find("This is a simulation of 10 seconds"), std::string::npos) << first;

    begin(kShortOnes, 2);
    EXPECT_EQ(logs(), first);
}

TEST_F(SimulatedEndToEnd, WithFaultsItIsNastyAndCountsWhatStruck) {
    begin("seed = 19\nfaults = 1.0\n", 8);
    const auto struck = [&] {
        return runProgram({"/usr/bin/sqlite3", "-readonly",
                           (service->workDir() / "simulated.db").string(),
                           "SELECT 'something' FROM fault WHERE strikes > 0 LIMIT 1"})
            .out;
    };
    EXPECT_TRUE(waitFor([&] { return struck() == "something\n"; }, "a fault"));
}

}  // namespace
}  // namespace gridbridge::testing
