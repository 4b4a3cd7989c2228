// Disks and a database that cannot be written for a while: nothing is claimed, nothing is lost, no
// other job is harmed, and all goes on by itself. What the person at the console reads and what
// GitLab shows meanwhile is part of each test.
#include <gmock/gmock.h>

#include <fstream>
#include <iostream>
#include <sys/mount.h>
#include <sys/resource.h>
#include <thread>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class DiskEndToEnd : public EndToEnd {
protected:
    /// Puts `name` in the test's folder on a small disk of its own; false where none can be made.
    bool mounted(const std::string& name) {
        disk_ = folder.path / name;
        std::filesystem::create_directory(disk_);
        mounted_ = ::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=64m,mode=700") == 0;
        return mounted_;
    }
    void prepare() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        writeFile(service->config(), "min_free_space = \"8 MiB\"\n" + readFile(service->config()));
    }
    void begin() {
        prepare();
        start();
    }
    void TearDown() override {
        EndToEnd::TearDown();
        if (mounted_) {
            EXPECT_EQ(::umount(disk_.c_str()), 0);
        }
    }
    bool remount(unsigned long flags) const {
        return ::mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT | flags, nullptr) == 0;
    }
    std::filesystem::path filler() const { return disk_ / "filler"; }
    /// Until so many MiB are free; 0 = until nothing more can be written.
    void fillUpTo(std::uintmax_t mebibytes) {
        std::ofstream out(filler(), std::ios::binary | std::ios::app);
        const std::string page(4096, 'x');
        while (out && std::filesystem::space(disk_).available > mebibytes << 20U) {
            out << page << std::flush;
        }
    }
    bool logSays(const std::string& text) const {
        return service->log().find(text) != std::string::npos;
    }
    int times(const std::string& text) const {
        const auto log = service->log();
        int found = 0;
        for (auto at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) {
            ++found;
        }
        return found;
    }
    JobId add(std::vector<std::string> script) {
        return gitlab->addJob(
            {.script = std::move(script), .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    }
    /// Prints on when the file `go` is there.
    JobId addWaiting(const std::vector<std::string>& script) {
        auto all = script;
        all.insert(all.begin(),
                   "echo begun; until [ -e " + go().string() + " ]; do sleep 0.1; done");
        return add(all);
    }
    std::filesystem::path go() const { return folder.path / "go"; }
    /// Heartbeats and reports that GitLab took.
    std::ptrdiff_t beats(JobId id) const {
        const auto requests = gitlab->job(id).requests;
        return std::count_if(requests.begin(), requests.end(), [](const auto& request) {
            return request.method == "PUT" && request.status == 200;
        });
    }
    void expectAHeartbeat(JobId id) {
        const auto before = beats(id);
        EXPECT_TRUE(waitFor([&] { return beats(id) > before; }, "a heartbeat"));
        EXPECT_EQ(gitlab->status(id), Status::Running);
    }
    /// Job that printed `seq 1 20000` into its own lines.
    void expectWhole(const JobSnapshot& job) {
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        std::string numbers = "\n";
        for (int i = 1; i <= 20000; ++i) {
            numbers += std::to_string(i) + "\n";
        }
        EXPECT_TRUE(says(job, numbers)) << "not the whole log, in order and once";
        EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
    }
    std::ptrdiff_t questions() const {
        const auto requests = gitlab->requests();
        return std::count_if(requests.begin(), requests.end(), [](const auto& request) {
            return request.path.find("jobs/request") != std::string::npos;
        });
    }
    int alarmsOfTheDatabase() const {
        return times("trace not written") + times("the database cannot be written") +
               times("the database is not available");
    }

    std::filesystem::path disk_;
    bool mounted_ = false;
};

TEST_F(DiskEndToEnd, FullStateDiskIsAConditionOfTheServiceAndHarmsNoJob) {
    if (!mounted("state")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    const auto open = addWaiting({"seq 1 20000", "echo over"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));

    fillUpTo(4);
    ASSERT_TRUE(waitFor([&] { return logSays("the state disk is short of room"); }, "the alarm"));
    const auto waiting = add({"echo later"});
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr("below 8 MiB nothing is claimed"));
    // Three times check_interval, while everything can still be written.
    const auto asked = questions();
    clock.sleepUntil(clock.steadyNow() + std::chrono::seconds(3), {});
    EXPECT_EQ(questions(), asked);
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);
    EXPECT_FALSE(logSays("trying again")) << "the disk is full";

    fillUpTo(0);
    writeFile(go(), "");
    ASSERT_TRUE(waitFor([&] { return logSays("trying again"); }, "a write that fails"));
    expectAHeartbeat(open);
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);

    std::filesystem::remove(filler());
    const auto job = finished(open);
    expectWhole(job);
    EXPECT_TRUE(says(job, "\nover\n"));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_TRUE(logSays("the state disk has room again"));
    EXPECT_EQ(times("the state disk is short of room"), 1);
    EXPECT_EQ(alarmsOfTheDatabase(), 1) << "an alarm for each failed write helps nobody";
    EXPECT_EQ(runGridbridge({"check", "--config", service->config().string()}).exitCode, 0);
}

TEST_F(DiskEndToEnd, StateDiskWithoutRoomForTheDatabasesLogIsOneSentenceAtTheStart) {
    if (!mounted("state")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    prepare();
    const auto cannotStart = [&] {
        const auto said = runGridbridge({"run", "--config", service->config().string()});
        EXPECT_EQ(said.exitCode, 75);
        EXPECT_EQ(linesOf(said.err).back(), "gridbridge: " + (disk_ / "gridbridge.db").string() +
                                                ": its disk is full; make room there");
    };
    fillUpTo(0);
    cannotStart();
    std::filesystem::remove(filler());
    start();
    EXPECT_EQ(finished(add({"echo one"})).status, Status::Success);
    EXPECT_EQ(service->stop(), 0);

    std::filesystem::remove(disk_ / "gridbridge.db-wal");
    std::filesystem::remove(disk_ / "gridbridge.db-shm");
    fillUpTo(0);
    cannotStart();
    std::filesystem::remove(filler());
    start();
    EXPECT_EQ(finished(add({"echo two"})).status, Status::Success);
}

TEST_F(DiskEndToEnd, ReadOnlyStateDiskIsOneSentenceAtTheStartAndNoMistakeOfTheConfiguration) {
    if (!mounted("state")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    const auto open = addWaiting({"seq 1 20000"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));
    EXPECT_EQ(service->stop(), 0);
    ASSERT_TRUE(remount(MS_RDONLY));

    const auto said = runGridbridge({"run", "--config", service->config().string()});
    EXPECT_EQ(said.exitCode, 74) << "systemd tries again";
    EXPECT_EQ(said.err, "gridbridge: " + (disk_ / "lock").string() +
                            " cannot be opened: Read-only file system; make the state folder "
                            "writable for the service\n");
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr(disk_.string() + " is not writable: Read-only file system"));
    EXPECT_THAT(checked.out, HasSubstr("mount its disk for writing"));

    ASSERT_TRUE(remount(0));
    writeFile(go(), "");
    start();
    expectWhole(finished(open));
}

// A kernel remounts no disk read-only while files on it are open for writing, but for an error, and
// then it refuses to go back. What such a disk says to a service that runs, an error at each
// write, a limit on the size of its files says too.
TEST_F(DiskEndToEnd, DiskThatRefusesWritesWhileJobsRunStopsNoneAndClaimsNone) {
    prepare();
    // The log goes through a pipe: it must stay writable.
    service->launchWith({"/bin/bash", "-c", R"(trap '' XFSZ; exec "$@" 2> >(exec cat))", "bash"},
                        GRIDBRIDGE_EXECUTABLE);
    start();
    const auto open = addWaiting({"seq 1 20000", "echo over"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));
    const rlimit nothing{0, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(service->pid(), RLIMIT_FSIZE, &nothing, nullptr), 0);

    writeFile(go(), "");
    ASSERT_TRUE(waitFor([&] { return alarmsOfTheDatabase() > 0; }, "the alarm"));
    const auto waiting = add({"echo later"});
    expectAHeartbeat(open);
    EXPECT_EQ(gitlab->status(waiting), Status::Pending) << "claimed while it cannot be stored";

    const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(service->pid(), RLIMIT_FSIZE, &all, nullptr), 0);
    const auto job = finished(open);
    expectWhole(job);
    EXPECT_TRUE(says(job, "\nover\n"));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_EQ(alarmsOfTheDatabase(), 1);
}

// Longer than SQLite itself waits for a lock, and than the time between two heartbeats.
TEST_F(DiskEndToEnd, DatabaseThatAPersonLocksForAMinuteStopsNoHeartbeatAndLosesNothing) {
    begin();
    const auto open = addWaiting({"seq 1 20000", "echo over"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));
    const auto locked = folder.path / "locked";
    const auto release = folder.path / "release";
    const std::jthread person([&] {
        runProgram({"/usr/bin/sqlite3", (service->stateDir() / "gridbridge.db").string(),
                    "BEGIN EXCLUSIVE",
                    ".shell touch " + locked.string() + "; while [ ! -e " + release.string() +
                        " ]; do sleep 0.05; done",
                    "COMMIT"});
    });
    ASSERT_TRUE(waitFor([&] { return std::filesystem::exists(locked); }, "the lock"));
    const auto minute = clock.steadyNow() + std::chrono::minutes(1);
    const auto before = beats(open);

    writeFile(go(), "");
    ASSERT_TRUE(waitFor([&] { return alarmsOfTheDatabase() > 0; }, "the alarm"));
    EXPECT_THAT(service->log(),
                HasSubstr("another program holds a lock on it: end that program's transaction"));
    const auto waiting = add({"echo later"});
    clock.sleepUntil(minute, {});
    EXPECT_TRUE(waitFor([&] { return beats(open) >= before + 2; }, "two heartbeats"));
    EXPECT_EQ(gitlab->status(waiting), Status::Pending) << "claimed while it cannot be stored";
    EXPECT_EQ(service->sql("SELECT state FROM job"), "running\n") << "people can still look";

    writeFile(release, "");
    const auto job = finished(open);
    expectWhole(job);
    EXPECT_TRUE(says(job, "\nover\n"));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_EQ(alarmsOfTheDatabase(), 1);
}

TEST_F(DiskEndToEnd, FullWorkDiskLetsJobsWaitUntilThereIsRoom) {
    if (!mounted("work")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    const auto open = addWaiting({"sleep 1"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));
    EXPECT_EQ(service->log().find("takes no jobs"), std::string::npos);

    fillUpTo(0);
    const auto waiting = add({"echo later"});
    const std::string why = "the disk of " + disk_.string() + " has no room for a job: make some";
    ASSERT_TRUE(gitlab->waitForTrace(waiting, "The job waits: " + why));
    ASSERT_TRUE(waitFor(
        [&] { return logSays("backend here takes no jobs, they wait error=\"" + why + "\""); },
        "the alarm"));
    EXPECT_THAT(service->command({"show", std::to_string(waiting)}), HasSubstr(why));
    const auto unclaimed = add({"echo last"});
    // Its script has ended, and its status file finds no room: its own files make some.
    writeFile(go(), "");
    EXPECT_EQ(finished(open).status, Status::Success);
    EXPECT_EQ(gitlab->status(waiting), Status::Running);
    EXPECT_EQ(gitlab->status(unclaimed), Status::Pending);

    std::filesystem::remove(filler());
    EXPECT_EQ(finished(unclaimed).status, Status::Success);
    const auto job = finished(waiting);
    EXPECT_EQ(job.status, Status::Success);
    const auto text = plain(job.trace);
    EXPECT_EQ(text.find("The job waits: "), text.rfind("The job waits: ")) << "one line";
    EXPECT_EQ(times("takes no jobs"), 1) << "one alarm";
    EXPECT_TRUE(waitFor([&] { return logSays("backend here takes jobs again"); }, "its end"));
}

TEST_F(DiskEndToEnd, NothingIsClaimedForAFullWorkDisk) {
    if (!mounted("work")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    fillUpTo(0);
    begin();
    const auto id = add({"echo later"});
    ASSERT_TRUE(waitFor([&] { return logSays("backend here takes no jobs"); }, "the alarm"));
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr("the disk of " + disk_.string() + " has no room for a job"));
    EXPECT_EQ(gitlab->status(id), Status::Pending);

    const auto room = clock.wallNow();
    std::filesystem::remove(filler());
    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_TRUE(logSays("backend here takes jobs again"));
    EXPECT_EQ(times("takes no jobs"), 1);
    EXPECT_EQ(runGridbridge({"check", "--config", service->config().string()}).exitCode, 0);
    for (const auto& request : gitlab->requests()) {
        EXPECT_TRUE(request.path.find("jobs/request") == std::string::npos || request.at >= room);
    }
}

TEST_F(DiskEndToEnd, ReadOnlyWorkDiskLetsJobsWaitAndIsNamedByCheckAndService) {
    if (!mounted("work")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    EXPECT_EQ(finished(add({"echo first"})).status, Status::Success);
    const std::string why = "the disk of " + disk_.string() + " is read-only: mount it for writing";
    const auto checked = [&] {
        return runGridbridge({"check", "--config", service->config().string()});
    };
    ASSERT_TRUE(waitFor([&] { return remount(MS_RDONLY); }, "no file being written"));

    EXPECT_EQ(checked().exitCode, 1);
    EXPECT_THAT(checked().out, HasSubstr(why));
    ASSERT_TRUE(waitFor(
        [&] { return logSays("backend here takes no jobs, they wait error=\"" + why + "\""); },
        "the alarm"));
    const auto waiting = add({"echo later"});
    EXPECT_EQ(service->stop(), 0);
    start();
    ASSERT_TRUE(waitFor([&] { return times("takes no jobs") == 2; }, "the alarm of a new start"));
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);

    ASSERT_TRUE(remount(0));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_TRUE(waitFor([&] { return logSays("backend here takes jobs again"); }, "its end"));
    EXPECT_EQ(times("takes no jobs"), 2);
    EXPECT_EQ(checked().exitCode, 0);
}

TEST_F(DiskEndToEnd, JobThatFillsItsDiskFailsWithItsOwnWordsAndHarmsNoOther) {
    if (!mounted("work")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    const auto beside = addWaiting({"echo beside"});
    ASSERT_TRUE(gitlab->waitForTrace(beside, "begun"));
    const auto greedy = finished(add({"head -c 100M /dev/zero > big", "echo not reached"}));
    EXPECT_EQ(greedy.status, Status::Failed);
    EXPECT_EQ(greedy.failureReason, "script_failure");
    EXPECT_EQ(greedy.exitCode, 1);
    EXPECT_TRUE(says(greedy, "No space left on device"));
    EXPECT_FALSE(says(greedy, "\nnot reached\n"));
    EXPECT_EQ(lastLine(greedy), "ERROR: Job failed: exit code 1");

    EXPECT_EQ(finished(add({"echo next"})).status, Status::Success);
    writeFile(go(), "");
    const auto job = finished(beside);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\nbeside\n"));
}

TEST_F(DiskEndToEnd, JobThatGoesOnPrintingOnItsFullDiskKeepsItsVerdictAndIsToldWhatIsMissing) {
    if (!mounted("work")) {
        GTEST_SKIP() << leftOut("a disk of its own");
    }
    begin();
    for (const int code : {0, 3}) {
        const auto job = finished(add({"head -c 100M /dev/zero > big || true", "seq 1 20000",
                                       "sleep 1; echo more", "exit " + std::to_string(code)}));
        EXPECT_EQ(job.status, code == 0 ? Status::Success : Status::Failed);
        EXPECT_EQ(job.exitCode.value_or(0), code);
        EXPECT_TRUE(says(job,
                         "WARNING: the disk of the folder of this job was full: a part of "
                         "this log is lost\n"));
        EXPECT_FALSE(says(job, "\n20000\n"));
    }
}

}  // namespace
}  // namespace gridbridge::testing
