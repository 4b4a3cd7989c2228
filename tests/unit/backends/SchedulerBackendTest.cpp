// A batch system that is asked as several accounts.
#include <gmock/gmock.h>

#include "backends/api/SchedulerBackend.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeFolders.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

/// Each account sees its own jobs only.
class Scheduler final : public SchedulerBackend {
public:
    explicit Scheduler(Clock& clock)
        : SchedulerBackend("", folders, {}, processes_, clock,
                           [this](const std::string& what) { told.push_back(what); }),
          processes_(clock) {}

    void add(const std::string& account, const std::string& key) {
        queues[account].jobs[key] = {.id = {"id-" + key}, .phase = QueuedJob::Phase::Running};
    }

    Capabilities capabilities() const override { return {}; }
    Result<void> probe(const CallContext&) override { return {}; }
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override {
        const auto unknown = [](const BatchJob&, const SchedulerQueue&) {
            return std::optional<Accepted>();
        };
        return submitEach(ctx, jobs, unknown, [this](const BatchJob& job) -> Result<Submission> {
            if (full == job.account) {
                return Submission{{}, Full{"too many jobs"}};
            }
            return Submission{Accepted{{"id-" + job.key.value}, {}}, {}};
        });
    }
    Result<std::vector<Observation>> observe(const CallContext& outer,
                                             std::span<const JobRef> refs) override {
        return observeEach(
            outer, refs,
            [&](const CallContext& ctx, const Place& place, const std::vector<std::size_t>& indices,
                std::vector<Observation>& seen) -> Result<void> {
                const auto queue = queueAt(place, ctx);
                if (!queue) {
                    return queue.error();
                }
                for (const auto i : indices) {
                    seen[i].state = queue->jobs.contains(refs[i].key.value) ? BatchState::Running
                                                                            : BatchState::Absent;
                }
                return {};
            });
    }

    std::map<std::string, SchedulerQueue> queues;
    std::string closed = "-";       ///< An account that cannot be used.
    std::string hangs = "-";        ///< One whose commands hang.
    std::chrono::seconds takes{0};  ///< Each answer.
    std::string full = "-";
    std::vector<std::string> told;
    testing::FakeFolders folders;

protected:
    Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) override {
        if (place.account == hangs || clock_.steadyNow() >= ctx.deadline) {
            clock_.sleepUntil(ctx.deadline, {});
            return transientError("no time was left");
        }
        const auto answer = clock_.steadyNow() + takes;
        clock_.sleepUntil(std::min(answer, ctx.deadline), {});
        if (answer > ctx.deadline) {
            return transientError("no time was left");
        }
        if (place.account == closed) {
            return transientError("cannot act as account " + closed);
        }
        return queues[place.account];
    }
    Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>&,
                                  const CallContext& ctx) override {
        return queueAt(place, ctx);
    }
    std::vector<Result<void>> remove(const Place&, const std::vector<JobRef>& jobs, bool,
                                     const CallContext&) override {
        return std::vector<Result<void>>(jobs.size());
    }

private:
    PosixProcessRunner processes_;
};

class SchedulerBackendTest : public ::testing::Test {
protected:
    static JobRef ref(const std::string& account, const std::string& key) {
        return {{key}, account, {}, {}};
    }
    CallContext ctx() { return {clock_.steadyNow() + std::chrono::seconds(60)}; }

    testing::FakeClock clock_;
    Scheduler scheduler_{clock_};
    const std::vector<JobRef> both_{ref("ci", "gb-a-1-1"), ref("ciphys", "gb-a-2-1")};
};

TEST_F(SchedulerBackendTest, AJobIsFoundAmongThoseOfItsAccount) {
    scheduler_.add("ci", "gb-a-1-1");
    scheduler_.add("ciphys", "gb-a-2-1");

    const auto found = scheduler_.find(ctx(), both_);

    ASSERT_TRUE(found.ok());
    ASSERT_THAT(*found, SizeIs(2));
    EXPECT_EQ((*found)[0].key.value, "gb-a-1-1");
    EXPECT_EQ((*found)[1].key.value, "gb-a-2-1");
    EXPECT_THAT(scheduler_.find(ctx(), std::vector{ref("ci", "gb-a-2-1")}).value(), SizeIs(0));
}

TEST_F(SchedulerBackendTest, AnAccountThatHangsLeavesTheOthersTheirTime) {
    scheduler_.hangs = "ci";
    scheduler_.add("ciphys", "gb-a-2-1");

    const auto seen = scheduler_.observe(ctx(), both_);

    ASSERT_TRUE(seen.ok());
    EXPECT_EQ((*seen)[0].state, BatchState::Unknown);
    EXPECT_EQ((*seen)[1].state, BatchState::Running);
    EXPECT_FALSE(scheduler_.release(ctx(), std::vector{both_[0], ref("ciphys", "gb-a-9-1")})[0]);
    EXPECT_TRUE(scheduler_.release(ctx(), std::vector{both_[0], ref("ciphys", "gb-a-9-1")})[1]);
}

TEST_F(SchedulerBackendTest, ASchedulerThatIsOnlySlowAnswersForMostOfTwentyAccounts) {
    scheduler_.takes = std::chrono::seconds(4);
    std::vector<JobRef> refs;
    for (int n = 10; n < 30; ++n) {
        const auto number = std::to_string(n);
        refs.push_back(ref("ci" + number, "gb-a-" + number + "-1"));
        scheduler_.add(refs.back().account, refs.back().key.value);
    }

    const auto seen = scheduler_.observe(ctx(), refs);

    ASSERT_TRUE(seen.ok());
    EXPECT_EQ(
        std::count_if(seen->begin(), seen->end(),
                      [](const Observation& job) { return job.state == BatchState::Running; }),
        15);
}

TEST_F(SchedulerBackendTest, NothingIsAbsentWhileOneOfTheAccountsCannotBeAsked) {
    scheduler_.add("ci", "gb-a-1-1");
    scheduler_.closed = "ciphys";
    EXPECT_FALSE(scheduler_.find(ctx(), both_).ok());
    scheduler_.closed = "-";
    scheduler_.queues["ciphys"].trouble = "an answer that is not whole";
    EXPECT_FALSE(scheduler_.find(ctx(), both_).ok());
}

TEST_F(SchedulerBackendTest, AnAccountThatCannotBeUsedHidesNoJobOfAnother) {
    scheduler_.add("ci", "gb-a-1-1");
    scheduler_.closed = "ciphys";

    for (int look = 0; look < 3; ++look) {
        const auto seen = scheduler_.observe(ctx(), both_);
        ASSERT_TRUE(seen.ok());
        EXPECT_EQ((*seen)[0].state, BatchState::Running);
        EXPECT_EQ((*seen)[1].state, BatchState::Unknown);
        EXPECT_EQ((*seen)[1].reason, "cannot act as account ciphys");
    }
    EXPECT_THAT(
        scheduler_.told,
        ElementsAre("ciphys: cannot act as account ciphys; jobs that are not listed are left "
                    "as they are"));
}

TEST_F(SchedulerBackendTest, WhereNoAccountCanBeAskedTheLookHasFailed) {
    scheduler_.closed = "ciphys";
    EXPECT_FALSE(scheduler_.observe(ctx(), std::vector{both_[1]}).ok());
    EXPECT_THAT(scheduler_.told, SizeIs(0)) << "the caller tells it";
}

TEST_F(SchedulerBackendTest, WhatOneAccountIsRefusedHoldsUpNoOther) {
    std::vector<BatchJob> jobs(3);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        jobs[i].key = {"gb-a-" + std::to_string(i) + "-1"};
        jobs[i].account = i == 2 ? "ci" : "ciphys";
    }
    scheduler_.full = "ciphys";

    const auto submitted = scheduler_.submit(ctx(), jobs);

    EXPECT_TRUE(submitted[0].value().full);
    EXPECT_TRUE(submitted[1].value().full);
    EXPECT_TRUE(submitted[2].value().accepted);
}

}  // namespace
}  // namespace gridbridge
