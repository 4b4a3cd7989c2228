// kill -9 at every crash point and at random moments, and all that a network can do at once:
// nothing lost, nothing doubled, no byte wrong, no secret out.
#include <cstdlib>
#include <random>

#include "tests/e2e/ArgumentWatch.h"
#include "tests/e2e/CrashFixture.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::FaultKind;

constexpr int kJobs = 20;

class CrashPoint : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashPoint, LosesNothingDoublesNothing) {
    prepare(4);
    const std::string point = GetParam();
    killAt(point, 2);
    // At these two the claimer itself is killed; at the others it may have a claim in hand.
    if (point == "received-uncommitted") {
        EXPECT_EQ(lost.size(), 1U);
    } else if (point == "received") {
        EXPECT_EQ(lost.size(), 0U);
    }

    service->start();
    settle();
    check();
}

INSTANTIATE_TEST_SUITE_P(EachPoint, CrashPoint, ::testing::ValuesIn(kPoints), pointName);

/// Every fault of the stand-in, at growing rates until it has struck often enough, under kills.
class StormEndToEnd : public CrashEndToEnd {
protected:
    struct Size {
        int jobs = 8;
        int kills = 4;
        std::uint64_t strikes = 1;
        bool atPoints = false;
    };
    /// Its own token, which it prints in two pieces with a pause in between.
    void vary(int, fakegitlab::JobSpec& job) const override {
        job.script.push_back(
            R"(printf 'token %s' "${CI_JOB_TOKEN:0:12}"; sleep 1; echo "${CI_JOB_TOKEN:12}")");
    }
    void expectTokensMasked() const {
        for (const auto id : ids) {
            const auto job = gitlab->job(id);
            ASSERT_EQ(job.token.find(kJobTokens), 0U);
            EXPECT_EQ(job.trace.find(job.token), std::string::npos) << id;
            EXPECT_EQ(says(job, "token [MASKED]\n"), lost.count(id) == 0) << plain(job.trace);
        }
    }
    /// GRIDBRIDGE_STORM=full is the size for a person who has some minutes.
    static Size size() {
        const char* wanted = std::getenv("GRIDBRIDGE_STORM");
        return wanted == nullptr ? Size{} : Size{40, 25, 5, true};
    }
    /// No job here depends on another, so that nothing is downloaded.
    static bool canMeet(FaultKind kind) { return kind != FaultKind::DownloadCut; }
    std::vector<FaultKind> missing() const {
        std::vector<FaultKind> kinds;
        for (const auto& [kind, count] : gitlab->faults()) {
            if (count < wanted.strikes && kind != FaultKind::TokenAnswerLost && canMeet(kind)) {
                kinds.push_back(kind);
            }
        }
        return kinds;
    }
    /// Those that struck often enough rest, the others come more often.
    void blow() {
        constexpr double kStep = 0.02;
        constexpr double kMost = 0.5;
        const auto wantedStill = missing();
        for (std::size_t i = 0; i < fakegitlab::kFaultKinds; ++i) {
            const auto kind = static_cast<FaultKind>(i);
            const bool on = std::count(wantedStill.begin(), wantedStill.end(), kind) > 0;
            auto& rate = rates[kind];
            rate = on ? std::min(kMost, rate + kStep) : 0;
            gitlab->setFault(kind, rate);
        }
    }
    /// Somebody claims, prints and ends at any time of the storm.
    void keepBusy() {
        const auto pending = std::count_if(ids.begin(), ids.end(), [&](JobId id) {
            return gitlab->status(id) == Status::Pending;
        });
        addJobs(pending < 4 ? 4 : 0);
    }
    void killAtEachPoint() {
        for (const std::string point : kPoints) {
            keepBusy();
            blow();
            killAt(point, 1);
        }
    }
    void killAtRandom(std::mt19937& random) {
        for (int round = 0; round < wanted.kills; ++round) {
            keepBusy();
            blow();
            service->start();
            // The moment is the point of the test: any moment will do.
            clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
            kill();
        }
    }
    void untilEverythingStruck() {
        constexpr std::chrono::seconds kPause{2};
        constexpr int kPauses = 5;
        const auto end = clock.steadyNow() + std::chrono::minutes(10);
        while (!missing().empty() && clock.steadyNow() < end) {
            // A service that has just started asks at once; one that has met many faults in a row
            // would ask once a minute, and hardly meet the rest.
            service->start();
            for (int i = 0; i < kPauses && !missing().empty(); ++i) {
                keepBusy();
                blow();
                gitlab->waitUntil([&] { return missing().empty(); }, kPause);
            }
            kill();
        }
    }
    void loseTokens() {
        for (std::uint64_t i = 0; i < wanted.strikes; ++i) {
            gitlab->failNext(FaultKind::TokenAnswerLost, 1, fakegitlab::Call::Runners);
            int code = 0;
            service->command({"register", "--name", "extra", "--url", gitlab->url(), "--backend",
                              "here", "--registration-token", kRegistrationToken},
                             &code);
            EXPECT_EQ(code, 75);
        }
    }
    void tell() const {
        for (const auto& [kind, count] : gitlab->faults()) {
            std::cout << "  " << nameOf(kind) << ": " << count << '\n';
            EXPECT_GE(count, canMeet(kind) ? wanted.strikes : 0)
                << nameOf(kind) << " did not strike often enough";
        }
        for (const auto id : lost) {
            std::cout << "  excepted: job " << id << ", its 201 "
                      << (gitlab->job(id).claimDelivered ? "was in hand at a kill"
                                                         : "never left GitLab whole")
                      << '\n';
        }
    }
    void expectNoSecretInWhatPeopleSee() const {
        std::string database;
        for (const auto* name : {"gridbridge.db", "gridbridge.db-wal"}) {
            database += readFile(service->stateDir() / name);
        }
        ASSERT_NE(database.find(gitlab->url()), std::string::npos) << "what is sought is found";
        expectNoSecretIn(database);
        expectNoSecretIn(service->log());
        expectNoSecretIn(service->command({"jobs", "--all", "--json"}));
        for (const auto id : ids) {
            expectNoSecretIn(service->command({"show", std::to_string(id), "--json"}));
        }
    }
    void expectNoSecretIn(const std::string& text) const {
        for (const auto& secret : secrets()) {
            EXPECT_EQ(text.find(secret), std::string::npos) << secret;
        }
    }
    /// Of the jobs and of the runner.
    std::vector<std::string> secrets() const {
        std::vector<std::string> all{kSecret, kRunnerToken};
        for (const auto id : ids) {
            if (const auto token = gitlab->job(id).token; !token.empty()) {
                all.push_back(token);
            }
        }
        return all;
    }

    const Size wanted = size();
    std::map<FaultKind, double> rates;
};

TEST_F(StormEndToEnd, NothingIsLostNothingDoubledNoByteWrongNoSecretOut) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    // Every lost answer, and every kill, makes it ask once more.
    prepare(wanted.jobs, 1000);
    gitlab->setFaults(seed, 0);
    const std::string planted = "planted-in-the-arguments";
    const ArgumentWatch watch({planted, kSecret, kRunnerToken, kJobTokens});
    if (wanted.atPoints) {
        killAtEachPoint();
    }
    killAtRandom(random);
    untilEverythingStruck();
    gitlab->setFaults(seed, 0);
    loseTokens();
    service->start();
    settle();
    tell();
    check();
    expectTokensMasked();
    expectNoSecretInWhatPeopleSee();
    for (const auto& secret : secrets()) {
        EXPECT_FALSE(watch.saw(secret)) << secret;
    }
    EXPECT_TRUE(waitFor(
        [&] {
            service->command({"show", planted});
            return watch.saw(planted);
        },
        "the planted secret to be found: the watch is dead"));
}

TEST_F(CrashEndToEnd, TenKillsAtRandomMoments) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(kJobs);
    for (int round = 0; round < 10; ++round) {
        service->start();
        // The moment is the point of the test: any moment will do.
        clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
        kill();
    }
    std::cout << "claims lost before their commit: " << lost.size() << std::endl;
    service->start();
    settle();
    check();
}

}  // namespace
}  // namespace gridbridge::testing
