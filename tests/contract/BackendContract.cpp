#include "tests/contract/BackendContract.h"

#include <algorithm>

namespace gridbridge::testing {

using namespace std::chrono_literals;

namespace {

const JobRef kNeverSubmitted{{"gb-contract-999-1"}, {}, {"1"}, {}};

TEST_P(BackendContract, GivesOneOutcomePerJobInOrderAndRefusalsHarmNoOther) {
    const std::vector<BatchJob> jobs{plan({.status = "", .exitCode = 1}),
                                     harness_->rejectedJob(900),
                                     plan({.status = "", .exitCode = 2})};

    const auto results = backend().submit(ctx(), jobs);

    ASSERT_EQ(results.size(), 3U);
    ASSERT_FALSE(results[1].ok());
    EXPECT_EQ(results[1].error().kind, ErrorKind::Permanent);
    EXPECT_FALSE(results[1].error().message.empty());
    ASSERT_TRUE(results[0].ok() && results[2].ok());
    EXPECT_NE(results[0]->accepted->id, results[2]->accepted->id);
    EXPECT_EQ(observe(refOf(jobs[1])).state, BatchState::Absent);
    EXPECT_EQ(ended(submit(jobs[0])).exitCode, 1);
    EXPECT_EQ(ended(submit(jobs[2])).exitCode, 2);
}

TEST_P(BackendContract, TellsExitCodesAndSignalsOfJobsThatLeftNoStatus) {
    const auto well = ended(run({.status = "", .exitCode = 0}));
    const auto code = ended(run({.status = "", .exitCode = 3}));
    const auto killed = ended(run({.status = "", .signal = 9}));

    EXPECT_EQ(well.exitCode, 0);
    EXPECT_EQ(code.exitCode, 3);
    EXPECT_EQ(killed.signal, 9);
    for (const auto& seen : {well, code, killed}) {
        EXPECT_EQ(seen.cause, EndCause::Exited);
        EXPECT_TRUE(seen.started);
        EXPECT_EQ(seen.usage.elapsed.has_value(), harness_->backend().capabilities().reportsUsage);
        if (harness_->tellsTimes()) {
            ASSERT_TRUE(seen.startedAt && seen.endedAt);
            EXPECT_LE(*seen.startedAt, *seen.endedAt);
        }
    }
}

TEST_P(BackendContract, AnEndIsFinalAlsoAfterARestart) {
    const auto ref = run({.exitCode = 4});
    const auto before = ended(ref);

    harness_->restart();

    EXPECT_EQ(observe(ref), before);
}

TEST_P(BackendContract, FindsJobsByKeyAfterARestartAndNoOthers) {
    const auto ref = run({.held = true});
    const auto other = run({});
    ASSERT_TRUE(backend().capabilities().findsByKey);

    harness_->restart();
    const auto found = backend().find(ctx(), std::vector{kNeverSubmitted, ref});

    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->at(0).key, ref.key);
    EXPECT_EQ(found->at(0).id, ref.id);
    EXPECT_LE(std::chrono::abs(found->at(0).submittedAt - ref.submittedAt),
              harness_->clockDifference());
    EXPECT_NE(ref.id, other.id);
}

TEST_P(BackendContract, SubmittingAKeyTwiceGivesOneJob) {
    const auto job = plan({.output = "once"});
    const auto first = submit(job);
    const auto second = submit(job);
    ended(first);

    harness_->restart();
    const auto third = submit(job);

    EXPECT_EQ(first.id, second.id);
    EXPECT_EQ(first.id, third.id);
    EXPECT_LE(std::chrono::abs(first.submittedAt - third.submittedAt), harness_->clockDifference());
    EXPECT_EQ(ended(third).state, BatchState::Ended);
    EXPECT_EQ(harness_->starts(job), 1);
}

TEST_P(BackendContract, AnUnknownJobIsAbsentAndNothingIsDoneToIt) {
    EXPECT_EQ(observe(kNeverSubmitted).state, BatchState::Absent);
    EXPECT_EQ(cancel(kNeverSubmitted, CancelKind::Soft).value(), CancelOutcome::AlreadyGone);
    EXPECT_EQ(cancel(kNeverSubmitted, CancelKind::Hard).value(), CancelOutcome::AlreadyGone);
    EXPECT_TRUE(release(kNeverSubmitted).ok());
    EXPECT_EQ(log(kNeverSubmitted).bytes, "");
    EXPECT_FALSE(log(kNeverSubmitted).status.has_value());
}

TEST_P(BackendContract, ARunningJobIsSeenRunningAndStarted) {
    const auto job = plan({.output = "here", .status = "", .held = true});
    const auto ref = submit(job);

    EXPECT_TRUE(eventually([&] { return observe(ref).started; }, "evidence of the start"));
    const auto seen = observe(ref);
    EXPECT_EQ(seen.state, BatchState::Running);
    EXPECT_EQ(seen.cause, EndCause::None);
    EXPECT_EQ(seen.run, 1);
    EXPECT_EQ(seen.startedAt.has_value(), harness_->tellsTimes());
    EXPECT_FALSE(seen.endedAt.has_value());
    harness_->letEnd(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
}

TEST_P(BackendContract, AWaitingJobThatIsCancelledNeverStartsAndMakesNoRoomForItself) {
    for (const auto kind : {CancelKind::Soft, CancelKind::Hard}) {
        const auto blockers = fillSlots();
        const auto job = plan({});
        const auto ref = submit(job);
        EXPECT_EQ(observe(ref).state, BatchState::Pending);
        EXPECT_FALSE(observe(ref).reason.empty());

        EXPECT_EQ(cancel(ref, kind).value(), CancelOutcome::Requested);

        const auto seen = ended(ref);
        EXPECT_EQ(seen.cause, EndCause::RemovedByUs);
        EXPECT_FALSE(seen.started);
        EXPECT_EQ(cancel(ref, kind).value(), CancelOutcome::AlreadyGone);
        for (const auto& blocker : blockers) {
            harness_->letEnd(blocker);
        }
        ended(run({}));  // one that came later has had its turn
        EXPECT_EQ(harness_->starts(job), 0);
    }
}

TEST_P(BackendContract, AHardCancelEndsAJobThatDoesNotWantToAndMayBeRepeated) {
    const auto ref = run({.output = "busy", .held = true, .ignoresTerm = true});
    const bool live = backend().capabilities().liveLog;
    EXPECT_TRUE(eventually([&] { return live ? log(ref).bytes == "busy" : observe(ref).started; },
                           "its first word"));

    EXPECT_EQ(cancel(ref, CancelKind::Hard).value(), CancelOutcome::Requested);
    EXPECT_TRUE(cancel(ref, CancelKind::Hard).ok());

    const auto seen = ended(ref);
    EXPECT_EQ(seen.cause, EndCause::RemovedByUs);
    EXPECT_EQ(cancel(ref, CancelKind::Hard).value(), CancelOutcome::AlreadyGone);
    EXPECT_EQ(log(ref).bytes.substr(0, 4),
              live ? "busy" : "");  // Its shell may say of what it dies.
}

TEST_P(BackendContract, ASoftCancelLetsTheJobEndByItself) {
    const auto ref = run({.output = "busy ", .status = "stopped\n", .held = true});
    EXPECT_TRUE(eventually([&] { return observe(ref).started; }, "the start"));

    EXPECT_EQ(cancel(ref, CancelKind::Soft).value(), CancelOutcome::Requested);
    EXPECT_TRUE(cancel(ref, CancelKind::Soft).ok());

    const auto seen = ended(ref);
    if (!backend().capabilities().softCancel) {
        EXPECT_EQ(seen.cause, EndCause::RemovedByUs);
        return;
    }
    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_EQ(seen.exitCode.value_or(0), 0);
    EXPECT_EQ(log(ref).bytes, "busy canceled");
    EXPECT_EQ(log(ref).status, "stopped\n");
}

TEST_P(BackendContract, CancellingAnEndedJobChangesNothing) {
    const auto ref = run({.exitCode = 5});
    const auto before = ended(ref);

    EXPECT_EQ(cancel(ref, CancelKind::Soft).value(), CancelOutcome::AlreadyGone);
    EXPECT_EQ(cancel(ref, CancelKind::Hard).value(), CancelOutcome::AlreadyGone);

    EXPECT_EQ(observe(ref), before);
}

TEST_P(BackendContract, AnyBytesOfTheLogComeThroughByteByByte) {
    std::string output;
    for (int i = 0; i < 256; ++i) {
        output += static_cast<char>(i);
    }
    const auto ref = run({.output = output});
    ended(ref);

    std::string read;
    for (std::size_t i = 0; i <= output.size(); ++i) {
        read += log(ref, static_cast<std::int64_t>(i), 1).bytes;
    }

    EXPECT_EQ(read, output);
}

TEST_P(BackendContract, TheLogIsLiveWhereThatIsPromisedAndItsBytesStayTheSame) {
    const bool live = backend().capabilities().liveLog;
    const auto job = plan({.output = "while it runs", .held = true});
    const auto ref = submit(job);
    EXPECT_TRUE(
        eventually([&] { return live ? log(ref).bytes == "while it runs" : observe(ref).started; },
                   "the live log"));
    EXPECT_EQ(log(ref).bytes, live ? "while it runs" : "");
    EXPECT_FALSE(log(ref).status.has_value());

    harness_->letEnd(job);
    ended(ref);
    harness_->restart();

    EXPECT_EQ(log(ref).bytes, "while it runs");
    EXPECT_EQ(log(ref, 6).bytes, "it runs");
    EXPECT_EQ(log(ref, 13).bytes, "");
    EXPECT_EQ(log(ref, 1000).bytes, "");
    EXPECT_EQ(log(ref).status, "status\n");
}

TEST_P(BackendContract, WhatTheBatchSystemPrintsIsNotTheJobsLog) {
    const auto ref = run({.output = "from the script\n"});
    ended(ref);
    const std::vector<LogRequest> requests{{ref, 1, 0, 1000, LogSource::Batch}};

    const auto chunk = backend().readLogs(ctx(), requests).at(0);

    ASSERT_TRUE(chunk.ok());
    EXPECT_EQ(chunk->bytes.find("from the script"), std::string::npos);
    EXPECT_EQ(log(ref).bytes, "from the script\n");
}

TEST_P(BackendContract, AnEmptyLogIsEmptyAndTheStatusIsThere) {
    const auto ref = run({.output = ""});
    ended(ref);

    EXPECT_EQ(log(ref).bytes, "");
    EXPECT_EQ(log(ref).status, "status\n");
}

TEST_P(BackendContract, AnOverlongStatusIsCutWhereItCanBeRecognised) {
    const auto ref = run({.status = std::string(100'000, 's')});
    ended(ref);

    EXPECT_EQ(log(ref).status, std::string(4097, 's'));
}

TEST_P(BackendContract, CollectTellsThatTheOutputsAreThere) {
    const auto ref = run({.output = "x"});
    ended(ref);

    EXPECT_EQ(backend().collect(ctx(), std::vector{ref}).at(0).value(), CollectOutcome::Done);
    EXPECT_EQ(backend().collect(ctx(), std::vector{kNeverSubmitted}).at(0).value(),
              CollectOutcome::Never);
}

TEST_P(BackendContract, WithoutTimeLeftOrAfterAStopRequestNothingIsDone) {
    const auto held = plan({.held = true});
    const auto running = submit(held);
    EXPECT_TRUE(eventually([&] { return observe(running).started; }, "the start"));
    const auto late = plan({});
    std::stop_source stop;
    stop.request_stop();
    const CallContext past{.deadline = harness_->clock().steadyNow() - 1s};
    const CallContext stopped{.deadline = ctx().deadline, .stop = stop.get_token()};

    for (const auto& without : {past, stopped}) {
        const auto submission = backend().submit(without, std::vector{late}).at(0);
        const auto canceled =
            backend()
                .cancel(without, std::vector<CancelRequest>{{running, CancelKind::Hard}})
                .at(0);

        ASSERT_FALSE(submission.ok());
        EXPECT_EQ(submission.error().kind, ErrorKind::Transient);
        EXPECT_FALSE(canceled.ok());
    }

    EXPECT_EQ(observe(refOf(late)).state, BatchState::Absent);
    harness_->letEnd(held);
    const auto seen = ended(running);
    EXPECT_EQ(seen.cause, EndCause::Exited);
    EXPECT_FALSE(backend().release(past, std::vector{running}).at(0).ok());
    EXPECT_EQ(observe(running), seen);
}

TEST_P(BackendContract, ReleaseForgetsTheJobAndFreesItsFolder) {
    const auto job = plan({.output = "x"});
    const auto ref = submit(job);
    ended(ref);
    ASSERT_TRUE(harness_->folderExists(job));

    ASSERT_TRUE(release(ref).ok());
    EXPECT_TRUE(release(ref).ok());

    EXPECT_FALSE(harness_->folderExists(job));
    if (!harness_->keepsRecords()) {
        EXPECT_EQ(observe(ref).state, BatchState::Absent);
        EXPECT_TRUE(backend().find(ctx(), std::vector{ref}).value().empty());
        harness_->restart();
        EXPECT_EQ(observe(ref).state, BatchState::Absent);
    }
}

TEST_P(BackendContract, ARunningJobIsNotReleased) {
    const auto job = plan({.output = "x", .status = "", .held = true});
    const auto ref = submit(job);
    EXPECT_TRUE(eventually([&] { return observe(ref).started; }, "the start"));

    const auto released = release(ref);

    ASSERT_FALSE(released.ok());
    EXPECT_EQ(released.error().kind, ErrorKind::Permanent);
    harness_->letEnd(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_EQ(log(ref).bytes, "x");
}

TEST_P(BackendContract, AWaitingJobThatIsReleasedNeverStarts) {
    const auto blockers = fillSlots();
    const auto job = plan({});
    const auto ref = submit(job);

    ASSERT_TRUE(released({ref}));

    const auto isGone = [&] {
        const auto state = observe(ref).state;
        return state == BatchState::Absent ||
               (harness_->keepsRecords() && state == BatchState::Ended);
    };
    EXPECT_TRUE(harness_->removesLater() ? eventually(isGone, "its removal") : isGone());
    for (const auto& blocker : blockers) {
        harness_->letEnd(blocker);
    }
    ended(run({}));
    EXPECT_EQ(harness_->starts(job), 0);
}

TEST_P(BackendContract, ACallTakesAsManyJobsAsItPromises) {
    fillSlots();
    std::vector<BatchJob> jobs;
    std::vector<JobRef> refs;
    const auto most = backend().capabilities();
    for (std::size_t i = 0; i < std::min(most.maxSubmit, most.maxBatch); ++i) {
        jobs.push_back(plan({}));
        refs.push_back(refOf(jobs.back()));
    }

    const auto results = backend().submit(ctx(), jobs);
    const auto seen = backend().observe(ctx(), refs);
    const auto gone = released(refs);

    ASSERT_EQ(results.size(), jobs.size());
    EXPECT_TRUE(std::all_of(results.begin(), results.end(),
                            [](const auto& result) { return result.ok() && result->accepted; }));
    ASSERT_TRUE(seen.ok());
    ASSERT_EQ(seen->size(), refs.size());
    EXPECT_TRUE(std::all_of(seen->begin(), seen->end(), [](const auto& observation) {
        return observation.state == BatchState::Pending;
    }));
    EXPECT_TRUE(gone);
}

TEST_P(BackendContract, AHealthySystemIsProbedAsHealthy) {
    EXPECT_TRUE(backend().probe(ctx()).ok());
}

}  // namespace
}  // namespace gridbridge::testing
