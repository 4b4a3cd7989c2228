// What becomes of jobs when daemons, administrators and commands do their worst.
#include <gtest/gtest.h>

#include <iostream>
#include <optional>

#include "tests/engines/EngineFault.h"
#include "tests/engines/SlurmHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

using SlurmFault = EngineFault<SlurmHarness>;

TEST_F(SlurmFault, AControllerThatIsKilledAndComesBackHarmsNoJob) {
    const auto job = plan({.output = "all of it", .exitCode = 3, .held = true});
    const auto ref = running(job);
    engine.awaitSaved();
    engine.kill("slurmctld");

    const auto blind = look(ref);
    harness.letEnd(job);
    const auto refused = trySubmit(plan({}));

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(harness.backend().probe(ctx()).ok());
    engine.repair();
    EXPECT_EQ(ended(ref).exitCode, 3);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SlurmFault, JobsThatTheControllerForgotAreAbsentAndTheirIdsBelongToOthers) {
    int lost = 0;
    int reused = 0;
    for (int round = 1; round <= 5 && reused == 0; ++round) {
        std::vector<BatchJob> jobs;
        std::vector<JobRef> refs;
        for (int i = 0; i < 4; ++i) {
            jobs.push_back(plan({}));
            refs.push_back(submit(jobs.back()));
        }
        engine.kill("slurmctld");
        engine.repair();
        const auto stranger = submit(plan({.exitCode = 9}));
        for (std::size_t i = 0; i < refs.size(); ++i) {
            if (!is(refs[i], BatchState::Absent)) {
                EXPECT_EQ(ended(refs[i]).exitCode, 0);
                continue;
            }
            ++lost;
            reused += refs[i].id == stranger.id ? 1 : 0;
            EXPECT_EQ(found(jobs[i]), 0U);
            const std::vector<CancelRequest> cancel{{refs[i], CancelKind::Hard}};
            EXPECT_EQ(harness.backend().cancel(ctx(), cancel).at(0).value(),
                      CancelOutcome::AlreadyGone);
        }
        EXPECT_EQ(ended(stranger).exitCode, 9);
    }
    std::cout << "lost " << lost << " jobs, " << reused << " ids were given out again\n";
    EXPECT_GT(reused, 0) << "the fault never struck";
}

TEST_F(SlurmFault, AControllerThatHangsTakesASubmissionLaterAndItIsFound) {
    engine.repair();
    const auto job = plan({});
    wrap("squeue", "exit 0\n");  // Else the hanging controller stops the submission before it.
    engine.kill("slurmctld", "STOP");

    const auto result = trySubmit(job);

    engine.kill("slurmctld", "CONT");
    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_TRUE(eventually([&] { return found(job) == 1; }));
    EXPECT_EQ(ended({job.key, {}, {}, {}}).exitCode, 0);
    EXPECT_EQ(submit(job).id.value.empty(), false);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SlurmFault, ACommandThatIsKilledAfterItHasSubmittedIsNoSecondJob) {
    wrap("sbatch", "sbatch \"$@\" >/dev/null\nexec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 5s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 1U);
    const auto again = submit(job);
    EXPECT_EQ(ended(again).exitCode, 0);
    EXPECT_EQ(engine.run("squeue -h -t all --name=" + job.key.value + " -o %A").out,
              again.id.value + "\n");
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SlurmFault, ACommandThatIsKilledBeforeItSubmitsLeavesNothing) {
    wrap("sbatch", "exec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 3s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 0U);
    EXPECT_EQ(harness.starts(job), 0);
}

TEST_F(SlurmFault, WithoutTheAuthenticationServiceNothingIsConcluded) {
    const auto job = plan({.exitCode = 4, .held = true});
    const auto ref = running(job);
    engine.kill("munged");

    const auto blind = look(ref);
    const auto refused = trySubmit(plan({}));
    harness.letEnd(job);

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    engine.repair();
    EXPECT_EQ(ended(ref).exitCode, 4);
}

TEST_F(SlurmFault, AJobOutlivesItsNodesDaemon) {
    const auto job = plan({.output = "all of it", .held = true});
    const auto ref = running(job);
    const auto node = look(ref).value().node;
    engine.kill("slurmd-" + node);

    harness.letEnd(job);

    EXPECT_TRUE(
        eventually([&] { return std::filesystem::exists(harness.file(job, "out/status")); }));
    engine.repair();
    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SlurmFault, ANodeThatIsDownIsTheCause) {
    const auto ref = running(plan({.held = true}));
    const auto node = look(ref).value().node;
    engine.run("scontrol update nodename=" + node + " state=down reason=test");

    const auto end = ended(ref);

    engine.run("scontrol update nodename=" + node + " state=resume");
    EXPECT_EQ(end.cause, EndCause::NodeFailure);
    EXPECT_TRUE(end.started);
    EXPECT_EQ(end.run, 1);
}

TEST_F(SlurmFault, AnAdministratorsHoldReleaseAndRemovalAreSeen) {
    std::vector<BatchJob> blockers;
    for (int i = 0; i < harness.slots(); ++i) {
        blockers.push_back(plan({.held = true}));
        running(blockers.back());
    }
    const auto ref = submit(plan({.exitCode = 2}));
    const auto other = submit(plan({}));

    engine.run("scontrol hold " + ref.id.value + "; scancel " + other.id.value);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Held); }));
    EXPECT_NE(look(ref).value().reason.find("JobHeld"), std::string::npos);
    EXPECT_EQ(ended(other).cause, EndCause::RemovedByOther);
    EXPECT_FALSE(look(other).value().started);
    engine.run("scontrol release " + ref.id.value);
    for (const auto& blocker : blockers) {
        harness.letEnd(blocker);
    }
    EXPECT_EQ(ended(ref).exitCode, 2);
}

TEST_F(SlurmFault, ARequeuedJobStartsItsScriptOnceAndItsSecondRunIsKnown) {
    const auto job = plan({.output = "first ", .held = true});
    const auto ref = running(job);
    engine.run("scontrol update jobid=" + ref.id.value + " requeue=1; scontrol requeue " +
               ref.id.value);

    EXPECT_TRUE(eventually([&] {
        const auto seen = look(ref);
        return seen.ok() && seen->run == 2;
    }));
    // A node refuses a run that begins in the second in which it ended the one before ("Job
    // credential revoked", and exit code 1); by itself Slurm waits much longer.
    engine.run("scontrol update jobid=" + ref.id.value + " starttime=now+3seconds");
    const auto end = ended(ref);

    EXPECT_EQ(end.exitCode, 71);
    EXPECT_EQ(end.run, 2);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(SlurmFault, AFullQueueEndsAtOurDeadlineAndLeavesNothing) {
    engine.kill("slurmctld");
    engine.repair();  // It forgets some of its jobs, but not twice the same ones.
    const auto known = std::stoi(engine.run("squeue -h -a -t all | wc -l").out);
    engine.kill("slurmctld");
    engine.repair("MaxJobCount=" + std::to_string(known + 2) + "\n");
    std::optional<BatchJob> late;
    for (int i = 0; i < 5 && !late; ++i) {
        const auto job = plan({});
        const auto result = trySubmit(job, 8s);
        if (!result.ok() || !result->accepted) {
            EXPECT_TRUE(result.ok() || result.error().kind == ErrorKind::Uncertain)
                << result.error().message;
            late = job;
        }
    }

    ASSERT_TRUE(late) << "the fault never struck";
    EXPECT_EQ(found(*late), 0U);
    engine.kill("slurmctld");
    engine.repair();
    EXPECT_EQ(ended(submit(*late)).exitCode, 0);
    EXPECT_EQ(harness.starts(*late), 1);
}

TEST_F(SlurmFault, TheTimeLimitIsToldAndTheJobIsWarnedBeforeIt) {
    harness.config.submitOptions.push_back("--time=1");
    harness.restart();
    auto job = plan({.held = true, .ignoresTerm = true});
    job.inputs[0].content.insert(0, "trap 'echo warned >out/warned' USR1\n");
    const auto ref = running(job);

    EXPECT_EQ(ended(ref, 120s).cause, EndCause::WallTimeLimit);

    EXPECT_EQ(readFile(harness.file(job, "out/warned")), "warned\n");
}

TEST_F(SlurmFault, TooMuchMemoryIsTold) {
    auto job = plan({.held = true});
    job.inputs[0].content.insert(0, "x=$(head -c 300000000 /dev/zero | tr '\\0' x)\n");
    const auto ref = running(job);

    const auto end = ended(ref);

    EXPECT_EQ(end.cause, EndCause::MemoryLimit);
}

TEST_F(SlurmFault, ARefusalNamesWhatIsWrong) {
    harness.config.partition = "zork";
    harness.restart();

    const auto result = trySubmit(plan({}));
    const auto probed = harness.backend().probe(ctx());

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_NE(result.error().message.find("Invalid partition name"), std::string::npos);
    ASSERT_FALSE(probed.ok());
    EXPECT_EQ(probed.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(probed.error().message, "Slurm has no partition zork");
    harness.config.partition = "main,short";
    harness.restart();
    EXPECT_TRUE(harness.backend().probe(ctx()).ok());
}

TEST_F(SlurmFault, AWallTimeIsSlurmsLimitWhateverTheSitesOptionsSay) {
    harness.config.submitOptions.push_back("--time=60");
    harness.restart();
    auto brief = plan({.held = true});
    brief.deadline = harness.clock().wallNow() + 20h;
    auto usual = plan({.held = true});
    usual.deadline = brief.deadline;
    brief.resources.wallTime = 2h;
    const auto limit = [&](const BatchJob& job) {
        return engine.run("squeue -h -o %l -j " + submit(job).id.value).out;
    };

    EXPECT_EQ(limit(brief), "2:03:00\n");
    EXPECT_EQ(limit(usual), "1:00:00\n");
}

TEST_F(SlurmFault, AJobThatAsksForNoGpuRunsWhereTheSitesOptionsAskForOne) {
    harness.config.submitOptions.insert(harness.config.submitOptions.end(),
                                        {"--gres=gpu:1", "--gpus=1"});
    harness.restart();
    auto job = plan({});
    job.resources.gpus = 0;  // The nodes have none.

    const auto refused = trySubmit(plan({}));

    EXPECT_FALSE(refused.ok());
    EXPECT_EQ(ended(submit(job)).exitCode, 0);
}

TEST_F(SlurmFault, AnAnswerThatCannotBeReadIsToldOnceAndConcludesNothing) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    wrap("squeue", "squeue \"$@\" | head -c -5\necho; echo 'squeue: Wartung bis morgen'\n");
    harness.told.clear();

    const auto first = look(ref);
    const auto absent = look({{"gb-never-1-1"}, {}, {"1"}, {}});

    EXPECT_TRUE(!first.ok() || first->state != BatchState::Ended);
    EXPECT_TRUE(!absent.ok() || absent->state == BatchState::Unknown);
    EXPECT_EQ(harness.told.size(), 1U);
    unwrap();
    EXPECT_TRUE(is(ref, BatchState::Running));
}

}  // namespace
}  // namespace gridbridge::testing
