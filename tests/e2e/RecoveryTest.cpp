// Conformance cases 52, 60 and 81: lost nodes, hostile status files, restarts, second starts.
#include <signal.h>
#include <sstream>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;

class RecoveryEndToEnd : public EndToEnd {
protected:
    JobId add(std::vector<std::string> script, std::vector<fakegitlab::Variable> variables = {}) {
        start();
        variables.push_back({.key = "GIT_STRATEGY", .value = "none"});
        return gitlab->addJob({.script = std::move(script), .variables = std::move(variables)});
    }
    /// As in a machine that stops: nothing of the job can write any more. Its wrapper first.
    void powerOff(const std::string& pids) {
        std::istringstream in(readFile(pids));
        for (pid_t pid = 0; in >> pid;) {
            ASSERT_EQ(::kill(pid, SIGKILL), 0);
        }
    }
    /// What the local backend remembers of running jobs is of another start of the machine.
    void reboot() {
        for (const auto& file :
             std::filesystem::directory_iterator(service->workDir() / ".local")) {
            auto record = readFile(file.path());
            for (auto at = record.find("\nboot_id="); at != std::string::npos;
                 at = record.find("\nboot_id=", at + 1)) {
                record.replace(at + 9, record.find('\n', at + 1) - at - 9, "of-the-last-start");
            }
            writeFile(file.path(), record);
        }
    }
    /// The job leaves what `leave` makes of its status file, and no wrapper that replaces it.
    JobSnapshot leaving(const std::string& leave) {
        return run({.script = {leave, "kill -9 $PPID", "sleep 1"}});
    }
    void isAScriptFailure(const JobSnapshot& job) {
        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_EQ(job.exitCode, 1);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(run({.script = {"true"}}).status, Status::Success) << "the next job";
    }
};

TEST_F(RecoveryEndToEnd, Case52NodeFailureIsASystemFailureAndTheScriptIsNotRepeated) {
    const auto pids = (folder.path / "pids").string();
    const auto starts = (folder.path / "starts").string();
    const auto id = add({"echo x >> " + starts, "echo $PPID -$$ > " + pids,
                         "echo waiting; while sleep 0.2; do echo tick; done"});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\ntick"));
    service->killHard();
    powerOff(pids);
    reboot();

    service->start();

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "runner_system_failure");
    EXPECT_EQ(lastLine(job).find("ERROR: Job failed (system failure): the node failed"), 0U);
    EXPECT_EQ(job.acceptedFinals, 1);
    EXPECT_EQ(readFile(starts), "x\n");
}

TEST_F(RecoveryEndToEnd, KillJustAfterTheStartMarkerWasTakenIsNoStartOfTheScript) {
    const auto go = (folder.path / "go").string();
    const auto ran = (folder.path / "ran").string();
    for (int slot = 0; slot < 4; ++slot) {
        add({"until [ -e " + go + " ]; do sleep 0.1; done"});
    }
    const auto id = add({"touch " + ran});
    const auto state = [&] {
        return service->sql("SELECT state FROM job WHERE gitlab_id = " + std::to_string(id));
    };
    ASSERT_TRUE(waitFor([&] { return state() == "queued\n"; }, "the fifth job to wait"));
    service->killHard();
    service->start({{"GRIDBRIDGE_CRASH_POINT", "marked"}});
    gitlab->cancel(id);
    ASSERT_EQ(service->wait(), 137);
    ASSERT_EQ(state(), "queued\n");

    service->start();

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_FALSE(says(job, "\nStarted")) << plain(job.trace);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: canceled");
    EXPECT_TRUE(waitFor([&] { return state() == "done\n"; }, "the job to be taken back"));
    writeFile(go, "");
    EXPECT_TRUE(waitFor([&] { return service->sql("SELECT * FROM open_jobs").empty(); },
                        "the end of the others"));
    EXPECT_FALSE(std::filesystem::exists(ran));
}

TEST_F(RecoveryEndToEnd, Case52KilledWrapperLeavesNoStatusAndIsAScriptFailure) {
    isAScriptFailure(leaving("true"));
}

TEST_F(RecoveryEndToEnd, WhatTheBatchSystemPrintedIsShownMaskedWhenThereIsNoStatusFile) {
    const auto job =
        run({.script = {"echo \"step killed near $KEY\" >> \"$GB_OUT/batch.log\"; kill -9 $PPID"},
             .variables = {{.key = "KEY", .value = "hunter2-secret", .masked = true}}});

    isAScriptFailure(job);
    EXPECT_TRUE(says(job, "The batch system printed:\nstep killed near [MASKED]\n"));
}

TEST_F(RecoveryEndToEnd, Case52StatusMissingAfterANormalExitIsAScriptFailure) {
    isAScriptFailure(run({.script = {"rm -rf \"$GB_OUT\""}}));
}

TEST_F(RecoveryEndToEnd, Case52GarbageAsStatusIsAScriptFailure) {
    isAScriptFailure(leaving("head -c 500 /dev/urandom > \"$GB_OUT/status\""));
}

TEST_F(RecoveryEndToEnd, Case52MegabyteAsStatusIsAScriptFailure) {
    isAScriptFailure(leaving("head -c 1000000 /dev/zero > \"$GB_OUT/status\""));
}

TEST_F(RecoveryEndToEnd, Case52StatusBehindALinkIsNotRead) {
    const auto elsewhere = (folder.path / "elsewhere").string();
    // It would be valid: only the link is wrong.
    const std::string forge =
        "folder=${GB_OUT%/out}; printf 'version=1\\nnonce=%s\\noutcome=success\\nwhy=\\nstage="
        "step_script\\nexit_code=\\nhost=n\\nlog_bytes=0\\nended_at=1\\n' \"${folder##*/}\" > ";
    const auto id = add({forge + elsewhere, "ln -s " + elsewhere + " \"$GB_OUT/status\"",
                         "kill -9 $PPID", "sleep 1"});
    const auto control = add({forge + "\"$GB_OUT/status\"", "kill -9 $PPID", "sleep 1"});

    isAScriptFailure(finished(id));
    EXPECT_EQ(finished(control).status, Status::Success) << "the same text as a file is believed";
}

TEST_F(RecoveryEndToEnd, Case52PipeOrFolderAsStatusBlocksNothing) {
    isAScriptFailure(leaving("mkfifo \"$GB_OUT/status\""));
    isAScriptFailure(leaving("mkdir \"$GB_OUT/status\""));
}

TEST_F(RecoveryEndToEnd, PipeAsLogBlocksNothing) {
    const auto job = run({.script = {"rm \"$GB_OUT/log\"; mkfifo \"$GB_OUT/log\"", "exit 3"}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.exitCode, 3);
}

TEST_F(RecoveryEndToEnd, WhatAJobPutInTheWayOfItsStatusFileIsRemoved) {
    for (const std::string inTheWay : {"mkfifo", "mkdir"}) {
        const auto job = run({.script = {inTheWay + " \"$GB_OUT/status.part\"", "exit 3"}});
        EXPECT_EQ(job.failureReason, "script_failure") << inTheWay;
        EXPECT_EQ(job.exitCode, 3) << inTheWay;
    }
}

TEST_F(RecoveryEndToEnd, WhatAJobPutInTheWayOfItsArtifactsIsRemoved) {
    for (const std::string inTheWay : {"mkfifo \"$GB_OUT/artifact.0.tar.gz.part\"",
                                       "mkdir -p \"$GB_OUT/artifact.0.tar.gz/x\""}) {
        const auto job =
            run({.script = {"echo one > a.txt", inTheWay}, .artifacts = {{.paths = {"a.txt"}}}});
        EXPECT_EQ(job.status, Status::Success) << inTheWay;
        EXPECT_EQ(job.artifacts.size(), 1U) << inTheWay;
    }
}

TEST_F(RecoveryEndToEnd, ArtifactThatIsSeenLateIsWaitedForAndUploaded) {
    const auto go = folder.path / "go";
    const auto late = folder.path / "late";
    start();
    const auto id = gitlab->addJob({.script = {"echo one > a.txt; echo begun; until [ -e " +
                                               go.string() + " ]; do sleep 0.1; done"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .artifacts = {{.paths = {"a.txt"}}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    EXPECT_EQ(service->stop(), 0);
    auto key = service->sql("SELECT key FROM submission");
    key.erase(key.find_last_not_of('\n') + 1);
    const auto out = service->workDir() / key / "out";
    writeFile(go, "");
    ASSERT_TRUE(waitFor([&] { return std::filesystem::exists(out / "status"); }, "its end"));
    std::filesystem::rename(out / "artifact.0.tar.gz", late);
    service->start();
    // Once it has looked it looks again within seconds.
    const std::string waits =
        "SELECT 'it waits' FROM job WHERE state = 'collecting' AND due_at BETWEEN "
        "(strftime('%s') + 2) * 1000 AND (strftime('%s') + 7) * 1000";
    ASSERT_TRUE(waitFor([&] { return service->sql(waits) == "it waits\n"; }, "the first look"));
    std::filesystem::rename(late, out / "artifact.0.tar.gz");

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
}

TEST_F(RecoveryEndToEnd, FolderReplacedByALinkLeadsNowhereAndEndsTheJobWithItsScript) {
    const auto elsewhere = folder.path / "elsewhere";
    std::filesystem::create_directory(elsewhere);
    writeFile(elsewhere / "log", "of somebody else\n");
    const auto job = run({.script = {"mv \"$GB_OUT\" \"$GB_OUT.away\"; ln -s '" +
                                     elsewhere.string() + "' \"$GB_OUT\""}});

    isAScriptFailure(job);
    EXPECT_FALSE(says(job, "somebody else"));
}

TEST_F(RecoveryEndToEnd, Case60RestartInTheMiddleOfTheLogLosesAndRepeatsNoByte) {
    constexpr int kLines = 120;
    const auto id = add({"for i in $(seq " + std::to_string(kLines) +
                         "); do printf 'line %s \xC3\xA9 %s' $i \"${KEY:0:5}\"; sleep 0.03; "
                         "echo \"${KEY:5}\"; done"},
                        {{.key = "KEY", .value = "hunter2-secret", .masked = true}});
    std::string expected;
    for (int i = 1; i <= kLines; ++i) {
        expected += "line " + std::to_string(i) + " \xC3\xA9 [MASKED]\n";
    }

    for (int restart = 0; restart < 3; ++restart) {
        const auto sent = gitlab->job(id).trace.size();
        ASSERT_TRUE(waitFor(
            [&] {
                const auto& trace = gitlab->job(id).trace;
                return trace.find("\nline ") != std::string::npos && trace.size() > sent;
            },
            "more of the log"));
        ASSERT_EQ(gitlab->status(id), Status::Running) << "the restart came too late";
        EXPECT_EQ(service->stop(), 0);
        service->start();
    }

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    const auto text = plain(job.trace);
    const auto first = text.find("line 1 ");
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(text.substr(first, expected.size()), expected);
    EXPECT_EQ(text.find("\nline ", first + expected.size()), std::string::npos);
    // The stand-in server compares a checksum that it gets with its own.
    EXPECT_EQ(job.lastChecksum.find("crc32:"), 0U);
    EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
}

TEST_F(RecoveryEndToEnd, Case81SecondStartOfTheWrapperEndsWith71AndExecutesNothing) {
    const auto starts = (folder.path / "starts").string();
    const auto job = run({.script = {"echo x >> " + starts,
                                     "bash \"$GB_IN/loader.sh\" || echo second=$?", "echo first"}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nsecond=71\n"));
    EXPECT_TRUE(says(job, "\nfirst\n"));
    EXPECT_EQ(readFile(starts), "x\n");
}

}  // namespace
}  // namespace gridbridge::testing
