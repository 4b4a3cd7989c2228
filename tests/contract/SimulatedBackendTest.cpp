// What the simulated batch system promises beyond the contract, and what of the contract remains
// true when it is as nasty as it can be.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/simulated/SimulatedBackend.h"
#include "bridge/folder/DirectFolders.h"
#include "bridge/payload/JobScript.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;

/// Everything that callers were told about one job, in order.
struct Seen {
    std::vector<Observation> observations;
    std::string log;
    std::string submitted;
    std::set<std::string> ids;
};

/// Many jobs on a nasty batch system, looked at every few seconds, often through a new object.
class Nasty {
public:
    explicit Nasty(std::uint64_t seed, double faults = 1.0) : seed_(seed), faults_(faults) {
        for (int i = 1; i <= 60; ++i) {
            refs_.push_back({{"gb-nasty-" + std::to_string(i) + "-1"}, {}, {}, {}});
        }
    }

    void run() {
        // So far apart that the first have ended when the last come.
        each([this](std::span<const JobRef> some) {
            submit(some);
            for (int round = 0; round < 20; ++round) {
                look(some);
                clock_.advance(5s);
            }
        });
        for (int round = 0; round < 150; ++round) {
            each([this](std::span<const JobRef> some) { look(some); });
            clock_.advance(5s);
        }
        for (int round = 0; round < 50; ++round) {
            each([this](std::span<const JobRef> some) {
                static_cast<void>(backend()->release(ctx(), some));
            });
            clock_.advance(30s);
        }
    }

    std::map<std::string, Seen> seen;
    std::map<std::string, std::int64_t> strikes() { return backend()->strikes(); }
    std::size_t left() { return backend()->jobs().size(); }
    std::filesystem::path folder() const { return temp_.path() / "work"; }

private:
    SimulatedBackend* backend() {
        if (uses_++ % 50 == 0) {
            backend_.reset();
            backend_ = std::make_unique<SimulatedBackend>(
                SimulatedConfig{folder(), 10, seed_, faults_}, folders_, clock_,
                std::make_shared<ShortJobs>(seed_));
        }
        return backend_.get();
    }
    CallContext ctx() { return {clock_.steadyNow() + 30s}; }
    void each(const std::function<void(std::span<const JobRef>)>& action) {
        const std::span<const JobRef> all(refs_);
        for (std::size_t at = 0; at < all.size(); at += 20) {
            action(all.subspan(at, std::min<std::size_t>(20, all.size() - at)));
        }
    }
    void submit(std::span<const JobRef> some) {
        std::vector<BatchJob> jobs;
        for (const auto& ref : some) {
            jobs.emplace_back().key = ref.key;
            jobs.back().deadline = clock_.wallNow() + 24h;
        }
        const auto results = backend()->submit(ctx(), jobs);
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            auto& mine = seen[jobs[i].key.value];
            mine.submitted = results[i].ok() ? "accepted" : results[i].error().message;
            if (results[i].ok()) {
                mine.ids.insert(results[i]->accepted->id.value);
            }
        }
    }
    void look(std::span<const JobRef> some) {
        const auto observed = backend()->observe(ctx(), some);
        std::vector<LogRequest> requests;
        for (std::size_t i = 0; i < some.size(); ++i) {
            auto& mine = seen[some[i].key.value];
            if (observed.ok()) {
                mine.observations.push_back((*observed)[i]);
            }
            requests.push_back({some[i], 1, static_cast<std::int64_t>(mine.log.size())});
        }
        const auto chunks = backend()->readLogs(ctx(), requests);
        for (std::size_t i = 0; i < some.size(); ++i) {
            if (chunks[i].ok()) {
                seen[some[i].key.value].log += chunks[i]->bytes;
            }
        }
    }

    testing::TempDir temp_;
    std::uint64_t seed_;
    double faults_;
    testing::FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    std::vector<JobRef> refs_;
    std::unique_ptr<SimulatedBackend> backend_;
    int uses_ = 0;
};

TEST(SimulatedBackend, ItsJobsAreTheSameInEveryInstallation) {
    ShortJobs jobs(7);
    const auto time = [&](const char* key) { return jobs.work({key}).runTime; };
    EXPECT_EQ(time("gb-abcdefgh-1-1"), time("gb-zyxwvuts-1-1"));
    EXPECT_NE(time("gb-abcdefgh-1-1"), time("gb-abcdefgh-2-1"));
    EXPECT_NE(time("gb-abcdefgh-1-1"), ShortJobs(8).work({"gb-abcdefgh-1-1"}).runTime);
}

TEST(SimulatedBackend, ItsJobsLeaveALogAndAStatusFileThatTheServiceUnderstands) {
    ShortJobs jobs(7);
    const SubmissionKey key{"gb-abcdefgh-1-1"};
    const auto work = jobs.work(key);

    for (const auto end :
         {SimulatedEnd::ByItself, SimulatedEnd::Canceled, SimulatedEnd::Deadline}) {
        const auto text = jobs.status(key, {end, fromEpoch(1767225600123ms), 99});
        const auto status = payload::parseStatus(text, key.value);
        ASSERT_TRUE(status.ok()) << text;
        EXPECT_EQ(status->logBytes, 99);
        EXPECT_EQ(status->outcome, end == SimulatedEnd::ByItself   ? "success"
                                   : end == SimulatedEnd::Canceled ? "canceled"
                                                                   : "timedout");
    }
    EXPECT_GE(work.runTime, 5s);
    EXPECT_LE(work.runTime, 60s);
    EXPECT_NE(work.log.find("the script of the job is not run"), std::string::npos);
}

TEST(SimulatedBackend, TheSameSeedIsNastyInTheSameWayAndAnotherIsNot) {
    Nasty first(11);
    Nasty again(11);
    Nasty other(12);
    for (auto* each : {&first, &again, &other}) {
        each->run();
    }

    EXPECT_EQ(first.strikes(), again.strikes());
    EXPECT_NE(first.strikes(), other.strikes());
    for (const auto& [key, seen] : first.seen) {
        EXPECT_EQ(seen.observations, again.seen.at(key).observations);
        EXPECT_EQ(seen.submitted, again.seen.at(key).submitted);
    }
}

TEST(SimulatedBackend, EveryFaultStrikesAndIsCounted) {
    std::map<std::string, std::int64_t> strikes;
    for (const std::uint64_t seed : {4U, 5U, 6U}) {
        Nasty nasty(seed);
        nasty.run();
        for (const auto& [name, count] : nasty.strikes()) {
            strikes[name] += count;
        }
    }

    for (std::size_t i = 0; i < kSimulatedFaults; ++i) {
        const std::string name(nameOf(static_cast<SimulatedFault>(i)));
        std::cout << name << ": " << strikes[name] << '\n';
        EXPECT_GT(strikes[name], 0) << name;
    }
}

TEST(SimulatedBackend, WithoutFaultsNoneStrikes) {
    Nasty well(11, 0);
    well.run();

    EXPECT_TRUE(well.strikes().empty());
    for (const auto& [key, seen] : well.seen) {
        EXPECT_EQ(seen.observations.back().exitCode, 0) << key;
    }
}

TEST(SimulatedBackend, HoweverNastyAnEndIsFinalALogIsAPrefixAndNothingIsLeft) {
    int ends = 0;
    for (const std::uint64_t seed : {21U, 22U, 23U}) {
        Nasty nasty(seed);
        nasty.run();
        ShortJobs jobs(seed);
        for (const auto& [key, seen] : nasty.seen) {
            std::optional<Observation> end;
            for (const auto& each : seen.observations) {
                if (each.state == BatchState::Ended) {
                    EXPECT_EQ(end.value_or(each), each) << key;
                    end = each;
                } else if (end) {
                    EXPECT_TRUE(each.state == BatchState::Unknown ||
                                each.state == BatchState::Absent)
                        << key;
                }
            }
            ends += end ? 1 : 0;
            EXPECT_TRUE(jobs.work({key}).log.starts_with(seen.log)) << key;
        }
        EXPECT_EQ(nasty.left(), 0U);
        for (const auto& entry : std::filesystem::directory_iterator(nasty.folder())) {
            EXPECT_TRUE(entry.is_regular_file()) << entry.path();
        }
    }
    EXPECT_GT(ends, 100);
}

TEST(SimulatedBackend, ADatabaseThatCannotBeUsedIsToldWithItsName) {
    const testing::TempDir temp;
    testing::FakeClock clock;
    folder::DirectFolders folders(temp.path() / "work");
    std::filesystem::create_directory(temp.path() / "work/simulated.db");

    try {
        SimulatedBackend backend({temp.path() / "work"}, folders, clock,
                                 std::make_shared<ShortJobs>(1));
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("simulated.db"), std::string::npos);
    }
}

}  // namespace
}  // namespace gridbridge
