// What becomes of jobs whose files go through the schedd's spool when that is interrupted.
#include <gtest/gtest.h>

#include <future>

#include "tests/engines/EngineFault.h"
#include "tests/engines/HTCondorHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

class HTCondorSpoolFault : public EngineFault<HTCondorHarness> {
protected:
    HTCondorSpoolFault() {
        harness.config.schedd = "engine@ci.local";
        harness.config.spool = true;
        harness.config.sendingLimit = 10s;
        harness.restart();
    }
    Result<CollectOutcome> collect(const JobRef& ref, Millis time = 40s) {
        return harness.backend().collect(ctx(time), std::vector{ref}).at(0);
    }
    bool isDone(const JobRef& ref) {
        const auto files = collect(ref);
        return files.ok() && *files == CollectOutcome::Done;
    }
    LogChunk log(const JobRef& ref) {
        const std::vector<LogRequest> requests{{.ref = ref}};
        return harness.backend().readLogs(ctx(), requests).at(0).value();
    }
    std::string queued(const BatchJob& job, const std::string& attributes) {
        return engine
            .run("condor_q -allusers -constraint 'GridbridgeKey == \"" + job.key.value +
                 "\"' -af " + attributes)
            .out;
    }
    /// In the job's folder, by `script`, before its files are sent: `$in` is its `in/`.
    void spoil(const std::string& script) {
        wrap("condor_submit",
             "for in; do :; done\nin=${in%/*}\n" + script + "\nexec condor_submit \"$@\"\n");
    }
    /// Why each job of that key was removed.
    std::string removals(const BatchJob& job) {
        return engine
            .run("condor_history -constraint 'GridbridgeKey == \"" + job.key.value +
                 "\"' -af RemoveReason")
            .out;
    }
    bool isNowhere(const BatchJob& job) {
        const std::vector<JobRef> refs{{job.key, job.account, {}, {}}};
        const auto all = harness.backend().find(ctx(), refs);
        return all.ok() && all->empty();
    }
    void mend(const BatchJob& job) {
        unwrap();
        std::filesystem::remove(harness.file(job, "in/spoilt"));
    }
};

TEST_F(HTCondorSpoolFault, AFetchThatBreaksOffIsRepeated) {
    auto job = plan({.output = "all of it"});
    job.inputs[0].content.insert(0, "head -c 3000000 /dev/zero >out/much\n");
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
    wrap("condor_transfer_data", "ulimit -f 100\nexec condor_transfer_data \"$@\"\n");

    EXPECT_FALSE(isDone(ref));
    EXPECT_FALSE(isDone(ref));

    unwrap();
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(std::filesystem::file_size(harness.file(job, "out/much")), 3'000'000U);
    EXPECT_EQ(log(ref).bytes, "all of it");
    EXPECT_EQ(log(ref).status, "status\n");
}

TEST_F(HTCondorSpoolFault, AFetchOfWhichNobodyHeardIsMadeAgain) {
    const auto job = plan({.output = "all of it"});
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
    wrap("condor_transfer_data", "condor_transfer_data \"$@\" >/dev/null\nexec sleep 600\n");
    EXPECT_TRUE(eventually([&] {
        EXPECT_FALSE(collect(ref, 5s).ok());
        return queued(job, "StageOutFinish") != "undefined\n";
    })) << "the fault never struck";
    std::filesystem::resize_file(harness.file(job, "out/status"), 0);  // The power failed.
    std::ofstream(bin() / "condor_transfer_data") << "#!/bin/sh\nexit 0\n";

    EXPECT_FALSE(isDone(ref));

    unwrap();
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes, "all of it");
    EXPECT_EQ(log(ref).status, "status\n");
}

TEST_F(HTCondorSpoolFault, WhatIsHereAndSyncedNeedsNoSchedd) {
    const auto job = plan({.output = "all of it"});
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));

    engine.kill("condor_schedd");
    harness.restart();

    EXPECT_TRUE(isDone(ref));
    EXPECT_EQ(log(ref).bytes, "all of it");
}

TEST_F(HTCondorSpoolFault, AReleaseEmptiesTheSpoolFetchedOrNot) {
    const auto job = plan({});
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).exitCode, 0);
    const std::filesystem::path spool = queued(job, "Iwd");
    ASSERT_TRUE(spool.is_absolute());

    EXPECT_TRUE(harness.backend().release(ctx(), std::vector{ref}).at(0).ok());

    EXPECT_TRUE(eventually([&] { return queued(job, "ClusterId").empty(); }));
    EXPECT_TRUE(eventually([&] {
        return engine.run("ls -d '" + spool.string().substr(0, spool.string().find('\n')) + "'")
                   .exitCode != 0;
    }));
    EXPECT_EQ(look(ref).value().cause, EndCause::Exited);
    EXPECT_EQ(collect(ref).value(), CollectOutcome::Never);
}

TEST_F(HTCondorSpoolFault, AnUploadThatFailsIsNoJobAndCanBeRepeated) {
    spoil("echo >$in/spoilt; chmod 000 $in/spoilt");
    const auto searched = plan({});
    const auto repeated = plan({});

    const auto first = trySubmit(searched);
    const auto second = trySubmit(repeated);

    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.error().kind, ErrorKind::Uncertain);
    EXPECT_FALSE(second.ok());
    for (const auto& job : {searched, repeated}) {
        EXPECT_TRUE(eventually([&] { return removals(job).find(kNeverSent) != std::string::npos; }))
            << "the fault never struck";
        EXPECT_EQ(queued(job, "ClusterId"), "");
    }
    EXPECT_TRUE(isNowhere(searched));
    mend(searched);
    mend(repeated);
    for (const auto& job : {searched, repeated}) {
        const auto ref = submit(job);
        EXPECT_EQ(ended(ref).exitCode, 0);
        EXPECT_EQ(queued(job, "JobStatus"), "4\n");
        EXPECT_TRUE(eventually([&] { return isDone(ref); }));
        EXPECT_EQ(harness.starts(job), 1);
    }
}

TEST_F(HTCondorSpoolFault, AScheddThatIsKilledInMidUploadHasNoJobAndTheNextOneHasOne) {
    spoil("mkfifo $in/spoilt");  // Whoever sends it waits.
    const auto job = plan({});
    const JobRef ref{job.key, job.account, {}, {}};
    auto result = std::async(std::launch::async, [&] { return trySubmit(job, 20s); });
    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Pending); }));
    EXPECT_EQ(queued(job, "HoldReasonCode"), "16\n");

    engine.kill("condor_schedd");

    const auto outcome = result.get();
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().kind, ErrorKind::Uncertain);
    engine.repair();
    mend(job);
    EXPECT_TRUE(eventually([&] { return isNowhere(job); }));
    EXPECT_NE(removals(job).find(kNeverSent), std::string::npos);
    const auto again = submit(job);
    EXPECT_EQ(ended(again).exitCode, 0);
    EXPECT_TRUE(eventually([&] { return isDone(again); }));
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorSpoolFault, AScheddThatIsKilledInMidRunHarmsNoJob) {
    const auto job = plan({.output = "all of it", .exitCode = 3, .held = true});
    const auto ref = running(job);

    engine.kill("condor_schedd");

    EXPECT_FALSE(collect(ref).ok());
    engine.repair();
    harness.letEnd(job);
    EXPECT_EQ(ended(ref).exitCode, 3);
    EXPECT_TRUE(eventually([&] { return isDone(ref); }));
    EXPECT_EQ(log(ref).bytes, "all of it");
    EXPECT_EQ(harness.starts(job), 1);
}

}  // namespace
}  // namespace gridbridge::testing
