// A state disk that fills up: nothing is claimed, nothing is lost, and all goes on by itself.
#include <gmock/gmock.h>

#include <fstream>
#include <iostream>
#include <sys/mount.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;
using ::testing::HasSubstr;

class DiskEndToEnd : public EndToEnd {
protected:
    /// A state folder on a small disk of its own; false where none can be made.
    bool mounted() {
        const auto disk = folder.path / "state";
        std::filesystem::create_directory(disk);
        mounted_ = ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64m,mode=700") == 0;
        if (!mounted_) {
            std::cout << "this part needs root and is not tested here: a disk of its own\n";
        }
        return mounted_;
    }
    void begin() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        writeFile(service->config(), "min_free_space = \"8 MiB\"\n" + readFile(service->config()));
        start();
    }
    void TearDown() override {
        EndToEnd::TearDown();
        if (mounted_) {
            EXPECT_EQ(::umount((folder.path / "state").c_str()), 0);
        }
    }
    std::filesystem::path filler() const { return folder.path / "state" / "filler"; }
    /// Until so many MiB are free; 0 = until nothing more can be written.
    void fillUpTo(std::uintmax_t mebibytes) {
        std::ofstream out(filler(), std::ios::binary | std::ios::app);
        const std::string page(4096, 'x');
        while (out && std::filesystem::space(folder.path / "state").available > mebibytes << 20U) {
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

    bool mounted_ = false;
};

TEST_F(DiskEndToEnd, FullStateDiskIsAConditionOfTheServiceAndHarmsNoJob) {
    if (!mounted()) {
        return;
    }
    begin();
    const auto go = folder.path / "go";
    const auto open = add({"echo begun; until [ -e " + go.string() + " ]; do sleep 0.1; done",
                           "seq 1 20000", "echo over"});
    ASSERT_TRUE(gitlab->waitForTrace(open, "begun"));

    fillUpTo(4);
    ASSERT_TRUE(waitFor([&] { return logSays("the state disk is short of room"); }, "the alarm"));
    const auto waiting = add({"echo later"});
    const auto checked = runGridbridge({"check", "--config", service->config().string()});
    EXPECT_EQ(checked.exitCode, 1);
    EXPECT_THAT(checked.out, HasSubstr("below 8 MiB nothing is claimed"));

    fillUpTo(0);
    writeFile(go, "");
    ASSERT_TRUE(waitFor([&] { return logSays("trying again"); }, "a write that fails"));
    const auto beats = [&] {
        const auto requests = gitlab->job(open).requests;
        return std::count_if(requests.begin(), requests.end(), [](const auto& request) {
            return request.method == "PUT" && request.status == 200;
        });
    };
    const auto before = beats();
    EXPECT_TRUE(waitFor([&] { return beats() > before; }, "a heartbeat"));
    EXPECT_EQ(gitlab->status(waiting), Status::Pending);
    EXPECT_EQ(gitlab->status(open), Status::Running);

    std::filesystem::remove(filler());
    const auto job = finished(open);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "\n19998\n19999\n20000\n"));
    EXPECT_TRUE(says(job, "\nover\n"));
    EXPECT_EQ(finished(waiting).status, Status::Success);
    EXPECT_TRUE(logSays("the state disk has room again"));
    EXPECT_EQ(times("the state disk is short of room"), 1);
    EXPECT_EQ(times("trace not written") + times("the database cannot be written"), 1)
        << "an alarm for each failed write helps nobody";
    EXPECT_EQ(runGridbridge({"check", "--config", service->config().string()}).exitCode, 0);
}

}  // namespace
}  // namespace gridbridge::testing
