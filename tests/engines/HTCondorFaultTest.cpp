// What becomes of jobs when daemons, administrators and commands do their worst.
#include <gtest/gtest.h>

#include <optional>

#include "tests/engines/EngineFault.h"
#include "tests/engines/HTCondorHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

class HTCondorFault : public EngineFault<HTCondorHarness> {
protected:
    /// Of all HTCondor has or had.
    std::string clustersOf(const BatchJob& job) {
        const auto which = " -constraint 'GridbridgeKey == \"" + job.key.value + "\"'";
        return engine
            .run("{ condor_q -allusers -af ClusterId" + which + "; condor_history -af ClusterId" +
                 which + "; } | sort -u")
            .out;
    }
    /// Lines behind the pool's configuration, for the commands alone.
    void configureCommands(const std::string& lines) {
        std::filesystem::create_directories(bin());
        const auto file = (bin() / "condor_config").string();
        std::ofstream(file) << readFile(engine.condorConfig()) << lines;
        harness.config.condorConfig = file;
        harness.restart();
    }
    std::vector<BatchJob> fillSlots() {
        std::vector<BatchJob> blockers;
        for (int i = 0; i < harness.slots(); ++i) {
            blockers.push_back(plan({.held = true}));
            running(blockers.back());
        }
        return blockers;
    }
};

TEST_F(HTCondorFault, AScheddThatIsKilledAndComesBackHarmsNoJob) {
    const auto job = plan({.output = "all of it", .exitCode = 3, .held = true});
    const auto ref = running(job);
    engine.kill("condor_schedd");

    const auto blind = look(ref);
    const auto refused = trySubmit(plan({}));
    const bool healthy = harness.backend().probe(ctx()).ok();
    harness.letEnd(job);

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(healthy);
    engine.repair();
    EXPECT_EQ(ended(ref).exitCode, 3);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AuthenticationThatFailsConcludesNothing) {
    const auto job = plan({.output = "all of it", .exitCode = 4, .held = true});
    const auto ref = running(job);
    const auto next = plan({});
    configureCommands("SEC_CLIENT_AUTHENTICATION_METHODS = SSL\n");  // Nobody has a certificate.

    const auto blind = look(ref);
    const auto probed = harness.backend().probe(ctx());
    const auto stopped = trySubmit(next);
    wrap("condor_q", "exit 0\n");  // Else condor_submit itself is never asked.
    const auto refused = trySubmit(next);
    harness.letEnd(job);
    harness.config.condorConfig = engine.condorConfig();
    unwrap();

    ASSERT_FALSE(blind.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(probed.ok());
    EXPECT_EQ(probed.error().kind, ErrorKind::Transient);
    EXPECT_NE(probed.error().message.find("AUTHENTICATE"), std::string::npos)
        << probed.error().message;
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().kind, ErrorKind::Transient);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    EXPECT_TRUE(refused.error().message.starts_with("condor_submit: ")) << refused.error().message;
    EXPECT_EQ(ended(ref).exitCode, 4);
    EXPECT_EQ(harness.starts(job), 1);
    EXPECT_EQ(ended(submit(next)).exitCode, 0);
    EXPECT_EQ(harness.starts(next), 1);
}

TEST_F(HTCondorFault, WhereFilesAreCopiedALogIsWholeAlsoAfterTheScheddWasKilled) {
    harness.config.fileTransfer = true;
    harness.restart();
    auto job = plan({.output = "the end"});
    job.inputs[0].content.insert(0, "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done\n");
    const auto ref = submit(job);
    const auto log = [&] {
        const std::vector<LogRequest> requests{{.ref = ref}};
        return harness.backend().readLogs(ctx(), requests).at(0).value();
    };
    EXPECT_TRUE(eventually([&] { return log().bytes == "line 1\nline 2\n"; }));
    engine.kill("condor_schedd");
    engine.repair();

    EXPECT_EQ(ended(ref).exitCode, 0);

    EXPECT_EQ(log().bytes,
              "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nthe end");
    EXPECT_TRUE(log().status.has_value());
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, WhereFilesAreCopiedAStatusIsBelievedOnlyWhenAllHaveCome) {
    harness.config.fileTransfer = true;
    harness.restart();
    const auto job = plan({.output = "x", .held = true});
    const auto ref = submit(job);
    const auto log = [&] {
        const std::vector<LogRequest> requests{{.ref = ref}};
        return harness.backend().readLogs(ctx(), requests).at(0).value();
    };
    EXPECT_TRUE(eventually([&] { return log().bytes == "x"; }));
    engine.run("cp -p '" + harness.file(job, "in/status").string() + "' '" +
               harness.file(job, "out/status").string() + "'");
    EXPECT_TRUE(std::filesystem::exists(harness.file(job, "out/status")));

    EXPECT_EQ(log().status, std::nullopt);

    harness.letEnd(job);
    static_cast<void>(ended(ref));
    EXPECT_EQ(log().status, "status\n");
}

TEST_F(HTCondorFault, WhereFilesAreCopiedAnOutputThatCannotBeSentIsTheJobsFailure) {
    harness.config.fileTransfer = true;
    harness.restart();
    auto job = plan({});
    job.inputs[0].content.insert(0, "head -c 3000000 /dev/zero >out/much\n");
    harness.config.submitOptions.push_back("max_transfer_output_mb = 1");
    harness.restart();
    const auto ref = submit(job);

    const auto end = ended(ref);

    EXPECT_EQ(end.cause, EndCause::Exited);
    EXPECT_FALSE(end.reason.empty());
}

TEST_F(HTCondorFault, AJobOfALostNodeIsNotStartedAgain) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    engine.kill("condor_startd");

    const auto end = ended(ref, 150s);

    EXPECT_EQ(end.cause, EndCause::NodeFailure);
    EXPECT_TRUE(end.started);
    EXPECT_FALSE(end.reason.empty());
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AJobThatLosesItsShadowIsNotStartedAgain) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    engine.kill("condor_shadow");

    const auto end = ended(ref);

    EXPECT_EQ(end.cause, EndCause::NodeFailure);
    EXPECT_TRUE(end.started);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AllDaemonsAreKilledAndTheJobIsNotStartedAgain) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    engine.killAll();

    const auto blind = look(ref);
    engine.repair();
    const auto end = ended(ref, 150s);

    EXPECT_FALSE(blind.ok());
    EXPECT_EQ(end.cause, EndCause::NodeFailure);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AnEvictedJobIsPreemptedAndNotStartedAgain) {
    const auto vacated = plan({.held = true});
    const auto first = running(vacated);
    engine.run("condor_vacate_job " + first.id.value);
    EXPECT_EQ(ended(first).cause, EndCause::Preempted);

    const auto stopped = plan({.held = true});
    const auto second = running(stopped);
    engine.run("condor_off -fast -startd");
    const auto end = ended(second);
    engine.run("condor_on -startd");

    EXPECT_EQ(end.cause, EndCause::Preempted);
    EXPECT_EQ(harness.starts(vacated), 1);
    EXPECT_EQ(harness.starts(stopped), 1);
}

TEST_F(HTCondorFault, AnAdministratorsHoldReleaseAndRemovalOfWaitingJobsAreSeen) {
    const auto blockers = fillSlots();
    const auto ref = submit(plan({.exitCode = 2}));
    const auto other = submit(plan({}));

    engine.run("condor_hold " + ref.id.value + "; condor_rm " + other.id.value);

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Held); }));
    EXPECT_TRUE(look(ref).value().reason.starts_with("via condor_hold"));
    EXPECT_EQ(ended(other).cause, EndCause::RemovedByOther);
    EXPECT_FALSE(look(other).value().started);
    engine.run("condor_release " + ref.id.value);
    for (const auto& blocker : blockers) {
        harness.letEnd(blocker);
    }
    EXPECT_EQ(ended(ref).exitCode, 2);
}

TEST_F(HTCondorFault, AHoldAndARemovalOfRunningJobsAreTheirEnd) {
    const auto job = plan({.output = "so far", .held = true});
    const auto ref = running(job);
    const auto other = running(plan({.held = true}));

    engine.run("condor_hold " + ref.id.value + "; condor_rm " + other.id.value);

    const auto end = ended(ref);
    EXPECT_EQ(end.cause, EndCause::RemovedByOther);
    EXPECT_TRUE(end.reason.starts_with("via condor_hold"));
    EXPECT_EQ(ended(other).cause, EndCause::RemovedByOther);
    engine.run("condor_release " + ref.id.value);
    EXPECT_TRUE(eventually([&] { return !is(ref, BatchState::Pending); }));
    EXPECT_EQ(ended(ref).state, BatchState::Ended);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AJobWhoseOutputCannotBeOpenedIsToldAndLeavesTheQueue) {
    const auto blockers = fillSlots();
    const auto job = plan({});
    const auto ref = submit(job);
    const auto before = std::filesystem::status(harness.file(job, "out")).permissions();
    std::filesystem::permissions(harness.file(job, "out"), std::filesystem::perms::none);
    for (const auto& blocker : blockers) {
        harness.letEnd(blocker);
    }

    EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Ended); }));
    const auto end = look(ref);
    std::filesystem::permissions(harness.file(job, "out"), before);

    ASSERT_TRUE(end.ok());
    EXPECT_EQ(end->cause, EndCause::NodeFailure);
    EXPECT_NE(end->reason.find("as standard output"), std::string::npos);
    EXPECT_EQ(harness.starts(job), 0);
    EXPECT_TRUE(harness.backend().release(ctx(), std::vector{ref}).at(0).ok());
    EXPECT_TRUE(eventually(
        [&] { return engine.run("condor_q " + ref.id.value + " -af ClusterId").out.empty(); }));
}

TEST_F(HTCondorFault, TooMuchMemoryIsTold) {
    engine.configure("use policy: HOLD_IF_MEMORY_EXCEEDED\n");
    auto job = plan({.held = true});
    job.inputs[0].content.insert(0, "x=$(head -c 150000000 /dev/zero | tr '\\0' x)\n");
    const auto ref = running(job);

    const auto end = ended(ref);

    engine.configure("");
    EXPECT_EQ(end.cause, EndCause::MemoryLimit);
}

TEST_F(HTCondorFault, TheTimeLimitIsToldAndTheJobIsWarnedBeforeIt) {
    auto job = plan({.held = true});
    job.deadline = harness.clock().wallNow() - 3min + 6s;
    job.inputs[0].content.insert(0, "trap 'echo warned >out/warned; exit 1' TERM\n");
    const auto ref = running(job);

    EXPECT_EQ(ended(ref).cause, EndCause::WallTimeLimit);

    EXPECT_EQ(readFile(harness.file(job, "out/warned")), "warned\n");
}

TEST_F(HTCondorFault, ACommandThatIsKilledAfterItHasSubmittedIsNoSecondJob) {
    wrap("condor_submit", "condor_submit \"$@\" >/dev/null\nexec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 5s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 1U);
    const auto again = submit(job);
    EXPECT_EQ(ended(again).exitCode, 0);
    EXPECT_EQ(clustersOf(job), again.id.value.substr(0, again.id.value.find('.')) + "\n");
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, ACommandThatIsKilledBeforeItSubmitsLeavesNothing) {
    wrap("condor_submit", "exec sleep 600\n");
    const auto job = plan({});

    const auto result = trySubmit(job, 3s);

    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(found(job), 0U);
    EXPECT_EQ(clustersOf(job), "");
}

TEST_F(HTCondorFault, AScheddThatHangsDoublesNoJob) {
    const auto job = plan({});
    wrap("condor_q", "exit 0\n");  // Else the hanging schedd stops the submission before it.
    engine.kill("condor_schedd", "STOP");

    const auto result = trySubmit(job, 5s);

    engine.kill("condor_schedd", "CONT");
    unwrap();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Uncertain);
    engine.repair();
    EXPECT_LE(found(job), 1U);
    EXPECT_EQ(ended(submit(job)).exitCode, 0);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(HTCondorFault, AJobThatLeftTheQueueBeforeThePollIsFoundInTheHistory) {
    const auto job = plan({.exitCode = 4});
    const auto ref = submit(job);
    EXPECT_EQ(ended(ref).exitCode, 4);

    engine.run("condor_rm " + ref.id.value);

    EXPECT_TRUE(eventually(
        [&] { return engine.run("condor_q " + ref.id.value + " -af ClusterId").out.empty(); }));
    EXPECT_EQ(look(ref).value().cause, EndCause::Exited);
    EXPECT_EQ(look(ref).value().exitCode, 4);
    EXPECT_EQ(found(job), 1U);
}

TEST_F(HTCondorFault, AFullQueueWaits) {
    const auto known = std::stoi(engine.run("condor_q -allusers -af ClusterId | wc -l").out);
    engine.configure("MAX_JOBS_PER_OWNER = " + std::to_string(known + 2) + "\n");
    std::optional<BatchJob> late;
    for (int i = 0; i < 5 && !late; ++i) {
        const auto job = plan({});
        const auto result = trySubmit(job);
        ASSERT_TRUE(result.ok()) << result.error().message;
        if (result->full) {
            EXPECT_NE(result->full->why.find("MAX_JOBS_PER_OWNER"), std::string::npos);
            late = job;
        }
    }

    engine.configure("");
    ASSERT_TRUE(late) << "the fault never struck";
    EXPECT_EQ(ended(submit(*late)).exitCode, 0);
    EXPECT_EQ(harness.starts(*late), 1);
}

TEST_F(HTCondorFault, ARefusalIsToldInTheSitesWords) {
    engine.configure(
        "SUBMIT_REQUIREMENT_NAMES = Site\nSUBMIT_REQUIREMENT_Site = Site isnt undefined\n"
        "SUBMIT_REQUIREMENT_Site_REASON = \"jobs must tell their site\"\n");

    const auto result = trySubmit(plan({}));

    harness.config.submitOptions.emplace_back("+Site = \"desy\"");
    harness.restart();
    EXPECT_EQ(ended(submit(plan({}))).exitCode, 0);
    engine.configure("");
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::Permanent);
    EXPECT_NE(result.error().message.find("jobs must tell their site"), std::string::npos);
}

TEST_F(HTCondorFault, AJobThatAsksForNoGpuRunsWhereTheSitesLinesAskForOne) {
    harness.config.submitOptions.insert(harness.config.submitOptions.end(),
                                        {"request_gpus = 1", "require_gpus = Capability >= 4"});
    harness.restart();
    auto job = plan({});
    job.resources.gpus = 0;  // There is none in the pool.

    const auto ref = submit(job);

    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_EQ(engine.run("condor_q " + ref.id.value + " -af RequestGPUs").out, "undefined\n");
}

TEST_F(HTCondorFault, AnAnswerThatCannotBeReadIsToldOnceAndConcludesNothing) {
    const auto job = plan({.held = true});
    const auto ref = running(job);
    wrap("condor_q", "condor_q \"$@\" | head -c -5\necho; echo 'condor_q: Wartung'\n");
    harness.told.clear();

    const auto first = look(ref);
    const auto absent = look({{"gb-never-1-1"}, job.account, {"1.0"}, {}});

    EXPECT_FALSE(first.ok());
    EXPECT_FALSE(absent.ok());
    EXPECT_EQ(harness.told.size(), 1U);
    unwrap();
    EXPECT_TRUE(is(ref, BatchState::Running));
}

TEST_F(HTCondorFault, AJobStaysWithTheScheddThatItsIdNames) {
    harness.config.schedd = "engine@ci.local";
    harness.restart();
    const auto job = plan({.held = true});
    const auto ref = running(job);
    harness.config.schedd = "gone@ci.local";
    harness.restart();

    EXPECT_TRUE(ref.id.value.starts_with("engine@ci.local#"));
    EXPECT_TRUE(is(ref, BatchState::Running));
    EXPECT_FALSE(harness.backend().probe(ctx()).ok());
    const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};
    EXPECT_EQ(harness.backend().cancel(ctx(), requests).at(0).value(), CancelOutcome::Requested);
    EXPECT_EQ(ended(ref).cause, EndCause::RemovedByUs);
}

TEST_F(HTCondorFault, JobsOfRootAreRefusedBeforeTheyAreSubmitted) {
    PosixProcessRunner runner(harness.clock());
    folder::AgentFolders folders(bin() / "work", {}, harness.clock());
    HTCondorBackend backend({}, "root", folders, runner, harness.clock(), [](const auto&) {});

    const auto probed = backend.probe(ctx());

    ASSERT_FALSE(probed.ok());
    EXPECT_EQ(probed.error().kind, ErrorKind::Permanent);
}

}  // namespace
}  // namespace gridbridge::testing
