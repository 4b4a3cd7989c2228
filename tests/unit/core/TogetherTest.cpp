// What one step asks a batch system for many jobs is as few calls as its limit allows.
#include "tests/fakes/WaitUntil.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;
using Verb = testing::ScriptedBackend::Verb;
using Sizes = std::vector<std::size_t>;

class TogetherTest : public CoreFixture {
protected:
    TogetherTest() {
        backend_.abilities.maxBatch = 20;
        backend_.abilities.maxSubmit = 10;
        restart();
        for (int id = 1; id <= 50; ++id) {
            rows_.push_back(claim(id));
        }
        settle();
        for (const auto row : rows_) {
            backend_.run(key(row));
        }
        pass(kPoll);
    }

    /// New jobs that wait, the first of them in a submission that hangs.
    void submitAtClosedGate(int jobs) {
        backend_.gate(Verb::Submit).close();
        for (int id = 101; id <= 100 + jobs; ++id) {
            const auto row = claim(id);
            const auto submits = [&] {
                step();
                return job(row).state == State::Submitting;
            };
            ASSERT_TRUE(testing::waitUntil(submits, 50s)) << id;
            backend_.gate(Verb::Submit).awaitSomebody();
        }
    }
    void finishAndSee(JobRow row) {
        backend_.finish(key(row));
        const auto ends = [&] {
            step();
            return job(row).state == State::Collecting;
        };
        ASSERT_TRUE(testing::waitUntil(ends, 50s));
    }

    std::vector<JobRow> rows_;
};

TEST_F(TogetherTest, FiftyEndsAreCollectedAndReleasedInThreeCallsEach) {
    for (const auto row : rows_) {
        backend_.finish(key(row));
    }

    pass(kPoll);

    for (const auto row : rows_) {
        EXPECT_EQ(job(row).state, State::Done);
        EXPECT_FALSE(backend_.has(key(row)));
    }
    EXPECT_EQ(backend_.calls(Verb::Collect), (Sizes{20, 20, 10}));
    EXPECT_EQ(backend_.calls(Verb::Release), (Sizes{20, 20, 10}));
}

TEST_F(TogetherTest, FiftyCancelsAreThreeCalls) {
    for (const auto row : rows_) {
        store::addRequest(
            folder_.path(),
            {.kind = store::RequestKind::Cancel, .job = row, .askedAt = clock_.wallNow()});
    }

    pass(1s);

    for (const auto row : rows_) {
        ASSERT_EQ(backend_.job(key(row)).cancels.size(), 1U);
    }
    EXPECT_EQ(backend_.calls(Verb::Cancel), (Sizes{20, 20, 10}));
}

TEST_F(TogetherTest, WhatComesDuringACallIsTheNextOne) {
    backend_.gate(Verb::Collect).close();
    for (std::size_t n = 0; n < 5; ++n) {
        finishAndSee(rows_.at(n));
        backend_.gate(Verb::Collect).awaitSomebody();
    }
    backend_.gate(Verb::Collect).open();

    settle();

    EXPECT_EQ(backend_.calls(Verb::Collect), (Sizes{1, 4}));
}

TEST_F(TogetherTest, WhatIsNewDuringASubmissionIsTheNextOne) {
    submitAtClosedGate(9);
    backend_.gate(Verb::Submit).open();

    settle();

    EXPECT_EQ(backend_.calls(Verb::Submit), (Sizes{10, 10, 10, 10, 10, 1, 8}));
}

TEST_F(TogetherTest, AnEndDoesNotWaitUntilAllThatIsNewHasBeenSubmitted) {
    submitAtClosedGate(31);
    finishAndSee(rows_.front());
    backend_.gate(Verb::Collect).close();
    backend_.gate(Verb::Submit).open();

    backend_.gate(Verb::Collect).awaitSomebody();

    EXPECT_EQ(backend_.calls(Verb::Submit), (Sizes{10, 10, 10, 10, 10, 1}));
    backend_.gate(Verb::Collect).open();
    settle();
    EXPECT_EQ(backend_.calls(Verb::Submit), (Sizes{10, 10, 10, 10, 10, 1, 10, 10, 10}));
}

TEST_F(TogetherTest, AnEndInASharedFolderDoesNotWaitForASubmissionThatHangs) {
    backend_.abilities.sharedFolder = true;
    restart();
    submitAtClosedGate(1);
    finishAndSee(rows_.front());

    const auto reported = [&] {
        step();
        return !gitlab_.job(1).ended.empty();
    };
    EXPECT_TRUE(testing::waitUntil(reported, 50s));
    backend_.gate(Verb::Submit).open();
}

TEST_F(TogetherTest, LargeJobsAreNotAllInMemoryForTheirSubmission) {
    backend_.gate(Verb::Submit).close();
    std::vector<JobRow> large;
    for (int id = 201; id <= 205; ++id) {
        auto payload = body(id);
        payload.replace(payload.find("none"), 4, std::string(7 << 20, 'x'));
        large.push_back(
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret(payload)));
        capacity().take("pool", "batch");
        answers().post({large.back(), 0, [](Facts&, Live&) {}});
    }
    const auto count = [&](State state) {
        return std::count_if(large.begin(), large.end(),
                             [&](JobRow row) { return job(row).state == state; });
    };
    const auto busy = [&] {
        step();
        return count(State::Submitting) + count(State::Claimed) == 5;
    };
    ASSERT_TRUE(testing::waitUntil(busy, 50s));
    step();
    EXPECT_EQ(count(State::Submitting), 2);
    backend_.gate(Verb::Submit).open();

    pass(5s);

    EXPECT_EQ(count(State::Queued), 5);
}

TEST_F(TogetherTest, EachJobOfACallHasItsOwnOutcome) {
    const auto stuck = key(rows_.at(7));
    backend_.keep(stuck);
    for (const auto row : rows_) {
        backend_.finish(key(row));
    }

    settle();

    for (const auto row : rows_) {
        EXPECT_EQ(job(row).state, key(row) == stuck ? State::Reporting : State::Done);
    }
}

}  // namespace
}  // namespace gridbridge::core
