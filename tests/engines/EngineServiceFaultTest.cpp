// What GitLab shows when a real batch system, whichever it is, does its worst; and that nothing is
// lost or doubled.
#include <csignal>
#include <sys/types.h>

#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;

/// What takes long is spread evenly over two runs, which take turns.
class EngineOutcomes : public EngineService {
protected:
    void TearDown() override {
        engine.repair();
        scheduler.asUsual();
        EngineService::TearDown();
    }

    /// How often it was submitted, as the service knows it.
    std::string submissions(JobId id) const {
        const auto count = service->sql(
            "SELECT count(*) FROM submission JOIN job ON job.id = submission.job "
            "WHERE job.gitlab_id = " +
            std::to_string(id));
        return count.substr(0, count.find('\n'));
    }
    void expectSuccess(JobId id, const std::string& name) const {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
        EXPECT_TRUE(isWhole(job)) << plain(job.trace);
        EXPECT_EQ(lastLine(job), "Job succeeded");
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(starts(name), 1);
    }
    void expectFailure(JobId id, const std::string& name, const std::string& reason,
                       const std::string& line) const {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, reason);
        EXPECT_EQ(lastLine(job), line) << plain(job.trace);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(starts(name), 1);
    }
    /// All programs of the batch system. Once the one that submits does `first` and hangs.
    std::filesystem::path hangingCommands(const std::string& first) const {
        std::filesystem::create_directory(hung_);
        std::filesystem::permissions(hung_, std::filesystem::perms(0777));
        const auto commands = folder.path / "commands";
        std::filesystem::create_directory(commands);
        for (const auto& name : engine.commands()) {
            std::filesystem::create_symlink(engine.commandFolder() / name, commands / name);
        }
        const auto program = commands / engine.commands().front();
        std::filesystem::remove(program);
        const auto hung = hung_.string();
        writeFile(program, "#!/bin/sh\nsubmit() { " +
                               (engine.commandFolder() / program.filename()).string() +
                               " \"$@\"; }\nif mkdir " + hung + "/once 2>/dev/null; then\n" +
                               first + "\necho $$ >" + hung + "/new\nmv " + hung + "/new " + hung +
                               "/pid\nexec sleep 600\nfi\nsubmit \"$@\"\n");
        std::filesystem::permissions(program, std::filesystem::perms(0755));
        return commands;
    }
    /// Kills the service and the hanging command, and starts the service again.
    void killBoth() {
        ASSERT_TRUE(
            waitFor([&] { return std::filesystem::exists(hung_ / "pid"); }, "the hanging command"));
        service->killHard();
        const auto command = readFile(hung_ / "pid");
        ::kill(static_cast<pid_t>(std::stol(command)), SIGKILL);
        service->start();
    }

    /// For both of two slots, until `gate` is there.
    std::vector<JobId> addBlockers(const std::filesystem::path& gate) {
        const std::vector<std::string> script{"until [ -e " + gate.string() +
                                              " ]; do sleep 0.2; done"};
        return {add("first", script), add("second", script)};
    }

    SchedulerEngine& scheduler = SchedulerEngine::get();

private:
    const std::filesystem::path hung_ = folder.path / "hung";
};

TEST_F(EngineOutcomes, TooMuchMemoryIsTheScriptsFailure) {
    serve(8);
    scheduler.watchMemory();
    const auto id = add("big", {"x=$(head -c 300000000 /dev/zero | tr '\\0' x)", "sleep 300"});

    ASSERT_TRUE(ends({id}));

    EXPECT_TRUE(says(gitlab->job(id), "The batch system ended the job: it was out of memory"))
        << plain(gitlab->job(id).trace);
    EXPECT_EQ(gitlab->job(id).exitCode, 137);
    expectFailure(id, "big", "script_failure",
                  "ERROR: Job failed: exit code 137: the job needed more memory than it was given");
}

TEST_F(EngineOutcomes, TheBatchSystemsWallTimeIsATimeout) {
    submitOptions = {scheduler.shortWallTime()};
    serve(8);
    const auto id = add("long", {"sleep 300"});

    ASSERT_TRUE(ends({id}));

    expectFailure(id, "long", "job_execution_timeout",
                  "ERROR: Job failed: execution took longer than the batch system's time limit");
}

TEST_F(EngineOutcomes, AJobWhoseSubmitCommandIsKilledWithTheServiceRunsOnce) {
    serve(8, "poll_interval = 1\n", hangingCommands("submit \"$@\" >/dev/null"));
    const auto id = addPrinting("job", "0.1");
    killBoth();

    ASSERT_TRUE(ends({id}));

    expectSuccess(id, "job");
    EXPECT_EQ(submissions(id), "1");
}

TEST_F(EngineOutcomes, AJobWhoseSubmitCommandIsKilledBeforeItSubmitsIsSubmittedOnceMore) {
    serve(8, "poll_interval = 1\n", hangingCommands(":"));
    const auto id = addPrinting("job", "0.1");
    killBoth();

    ASSERT_TRUE(ends({id}));

    expectSuccess(id, "job");
    EXPECT_EQ(submissions(id), "2");
}

TEST_F(EngineOutcomes, AJobThatAFullQueueDoesNotTakeWaitsAndRunsOnceThereIsRoom) {
    serve(8);
    const auto before = addPrinting("before", "0.1");
    ASSERT_TRUE(ends({before}));
    scheduler.beFull();
    const auto id = addPrinting("job", "0.1");
    ASSERT_TRUE(
        waitFor([&] { return says(gitlab->job(id), "The job waits: "); }, "the line that it waits"))
        << plain(gitlab->job(id).trace);
    EXPECT_EQ(starts("job"), 0);

    scheduler.asUsual();

    ASSERT_TRUE(ends({id}));
    expectSuccess(before, "before");
    expectSuccess(id, "job");
}

TEST_F(EngineOutcomes, AJobThatItsNodeCannotBeginIsSubmittedAgain) {
    serve(2);
    const auto gate = folder.path / "gate";
    const auto blockers = addBlockers(gate);
    ASSERT_TRUE(reaches(2, "running"));
    const auto id = addPrinting("job", "0.1");
    ASSERT_TRUE(waitFor([&] { return !submission(id, "remote_id").empty(); }, "its submission"));
    const auto key = submission(id, "key");
    std::filesystem::path out;
    for (const auto& each : std::filesystem::recursive_directory_iterator(service->workDir())) {
        if (each.path().filename() == "out" && each.path().parent_path().filename() == key) {
            out = each.path();
        }
    }
    ASSERT_FALSE(out.empty());
    const auto away = out.parent_path() / "away";
    std::filesystem::rename(out, away);
    writeFile(gate, "");

    ASSERT_TRUE(waitFor([&] { return submission(id, "batch_state") == "ended"; }, "its end"));
    std::filesystem::rename(away, out);

    ASSERT_TRUE(ends(blockers));
    ASSERT_TRUE(ends({id}));
    expectSuccess(id, "job");
    EXPECT_EQ(submissions(id), "2");
    EXPECT_TRUE(says(gitlab->job(id), "its script had not started, so it is submitted again"));
}

TEST_F(EngineOutcomes, AWaitingJobThatIsHeldSaysSoAndRunsOnceItIsReleased) {
    serve(2);
    const auto gate = folder.path / "gate";
    const auto blockers = addBlockers(gate);
    ASSERT_TRUE(reaches(2, "running"));
    const auto id = addPrinting("third", "0.1");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "The job waits in backend here"); },
                        "the line that it waits"));

    scheduler.hold(submission(id, "remote_id"));

    EXPECT_TRUE(waitFor([&] { return says(gitlab->job(id), "The job is held in backend here"); },
                        "the line that it is held"));
    writeFile(gate, "");
    ASSERT_TRUE(ends(blockers));
    EXPECT_EQ(starts("third"), 0);
    scheduler.letGo(submission(id, "remote_id"));
    ASSERT_TRUE(ends({id}));
    EXPECT_EQ(gitlab->status(id), Status::Success);
    EXPECT_TRUE(isWhole(gitlab->job(id)));
}

TEST_F(EngineOutcomes, AJobThatIsTakenFromItsNodeIsInterruptedAndNotStartedAgain) {
    serve(8);
    const auto id = addPrinting("job", "10");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 0\n"); }, "the first line"));

    scheduler.interrupt(submission(id, "remote_id"));

    ASSERT_TRUE(ends({id}));
    expectFailure(id, "job", "runner_interrupted",
                  "ERROR: Job failed (system failure): batch job was terminated by the backend");
    EXPECT_EQ(submissions(id), "1");
    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
}

}  // namespace
}  // namespace gridbridge::testing
