// What GitLab shows of jobs on a grid while they run, where their wrappers post their logs.
#include <sstream>

#include "tests/engines/EngineService.h"
#include "tests/fakes/FreePort.h"
#include "tests/fakes/TestCertificate.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;

class EngineServiceLive : public EngineService {
protected:
    std::string liveLines() {
        const auto file = [&](const char* name) { return (folder.path / name).string(); };
        writeCertificate("IP:127.0.0.1", {file("live.pem"), file("live.key")});
        const auto address = "127.0.0.1:" + std::to_string(freePort());
        return "poll_interval = 1\nlive_log_listen = \"" + address +
               "\"\nlive_log_url = \"https://" + address + "\"\nlive_log_cert_file = \"" +
               file("live.pem") + "\"\nlive_log_key_file = \"" + file("live.key") +
               "\"\nlive_log_ca_file = \"" + file("live.pem") + "\"\n";
    }
    /// How many numbers, from 1 on, one a line, GitLab has of the job; -1 = one is missing among
    /// them, or there twice.
    long numbers(JobId id) const {
        std::istringstream trace(plain(gitlab->job(id).trace));
        long last = 0;
        for (std::string line; std::getline(trace, line);) {
            if (line.empty() || line.find_first_not_of("0123456789") != std::string::npos) {
                continue;
            }
            if (std::stol(line) != last + 1) {
                return trace.eof() ? last : -1;  // A part of the last line.
            }
            ++last;
        }
        return last;
    }
    ::testing::AssertionResult grows(JobId id, long to) const {
        return waitFor([&] { return numbers(id) >= to; }, "a log that grows");
    }
    JobId addStoppable() {
        JobSpec spec;
        spec.name = "stoppable";
        // GitLab says of a cancel when it gets a log.
        spec.script = {"echo begun", "while sleep 0.5; do echo more; done"};
        spec.afterScript = {"echo after $CI_JOB_STATUS"};
        spec.variables = {{.key = "GIT_STRATEGY", .value = "none"}};
        return gitlab->addJob(std::move(spec));
    }
};

TEST_F(EngineServiceLive, ALogGrowsWhileItsScriptRunsAKillCostsNoByteAndACancelEndsItSoon) {
    serve(4, liveLines());
    const auto shared = openFolder("shared");
    const auto counting =
        add("counting", {"i=0; until [ -e " + shared +
                         "/enough ]; do seq $((i * 100 + 1)) $((i * 100 "
                         "+ 100)); i=$((i + 1)); sleep 0.1; done; echo $((i * 100)) >" +
                         shared + "/count"});
    const auto stoppable = addStoppable();
    EXPECT_TRUE(grows(counting, 1));
    EXPECT_TRUE(waitFor([&] { return says(gitlab->job(stoppable), "more\n"); }, "its first line"));

    const auto asked = clock.steadyNow();
    gitlab->cancel(stoppable);
    EXPECT_TRUE(waitFor([&] { return says(gitlab->job(stoppable), "after canceled\n"); },
                        "the end of the script"));
    EXPECT_LT(clock.steadyNow() - asked, std::chrono::seconds(20));
    EXPECT_GE(numbers(counting), 1);

    service->killHard();
    const auto before = numbers(counting);
    service->start();
    EXPECT_TRUE(grows(counting, before + 1));
    writeFile(folder.path / "shared/enough", "");

    ASSERT_TRUE(ends({counting, stoppable}));
    EXPECT_EQ(gitlab->status(stoppable), Status::Canceled);
    EXPECT_EQ(gitlab->status(counting), Status::Success) << plain(gitlab->job(counting).trace);
    EXPECT_EQ(std::to_string(numbers(counting)) + "\n", readFile(folder.path / "shared/count"));
    EXPECT_EQ(starts("counting"), 1);
}

}  // namespace
}  // namespace gridbridge::testing
