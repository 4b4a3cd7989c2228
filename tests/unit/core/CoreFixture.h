#pragma once

#include <gtest/gtest.h>
#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <vector>

#include "bridge/base/Random.h"
#include "bridge/core/Reconciler.h"
#include "tests/fakes/DatabaseWatch.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeFolders.h"
#include "tests/fakes/FakeRunnerApi.h"
#include "tests/fakes/ScriptedBackend.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::core {

/// The whole core with a real database and real lanes, between a GitLab and a batch system in
/// memory, under a clock that stands still. The test's own thread is the core's thread.
class CoreFixture : public ::testing::Test {
protected:
    using Backend = testing::ScriptedBackend;
    using GitLab = testing::FakeRunnerApi;
    static constexpr Millis kPoll{10000};

    CoreFixture();
    ~CoreFixture() override;

    /// Ends the core as a kill between two steps does: calls under way end, nobody hears their
    /// answers. Then a new core begins with the same database.
    void restart();

    /// A job that a claimer has just stored.
    JobRow claim(std::int64_t id);
    /// A job whose script runs.
    JobRow running(std::int64_t id);
    static std::string body(std::int64_t id);

    /// One step of the core; more than one commit in it is a failure. Returns when the next is due.
    SteadyTime step();
    /// Waits until the calls that are under way are over.
    void finishCalls();
    void finishControlCalls();
    void finishFileCalls();
    void finishBatchCalls();
    void finishReads();
    void finishEffects();
    /// Steps until nothing happens any more; time stands still, but for the millisecond in which
    /// a step asks for the next one.
    void settle();
    /// Lets time go on, from one moment at which something is due to the next.
    void pass(Millis howLong);

    store::JobRecord job(JobRow row);
    SubmissionKey key(JobRow row, int attempt = 1) {
        return store::submissionKey(store_->installation(), row, attempt);
    }
    std::filesystem::path database() const { return folder_.path() / "gridbridge.db"; }
    std::string traceOf(JobRow row);
    /// Seconds since the start of the test at which GitLab was called.
    std::vector<std::int64_t> seconds(const std::vector<GitLab::Call>& calls) const;
    std::size_t calls(Backend::Verb verb) const { return backend_.calls(verb).size(); }

    struct Core;
    Core& core() { return *core_; }
    RunnerEntry& runner();
    BackendEntry& entry();
    Answers& answers();
    Capacity& capacity();
    Reconciler& reconciler();

    testing::TempDir folder_;
    testing::DatabaseWatch watch_;
    testing::FakeClock clock_;
    const SteadyTime start_ = clock_.steadyNow();
    Random random_{1};
    spdlog::logger log_{"test"};
    GitLab gitlab_{clock_};
    Backend backend_{clock_};
    testing::FakeFolders folders_;
    int concurrent_ = 10000;
    int limit_ = 10000;
    int maxPending_ = 10000;
    std::unique_ptr<store::JobStore> store_;

private:
    SteadyTime next_ = {};
    std::unique_ptr<Core> core_;
};

}  // namespace gridbridge::core
