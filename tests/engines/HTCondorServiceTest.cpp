// The real executable, the stand-in GitLab and a real HTCondor, whose nodes see the work folder or
// not.
#include <unistd.h>

#include "tests/engines/EngineService.h"
#include "tests/engines/HTCondorEngine.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;

class HTCondorService : public EngineService, public ::testing::WithParamInterface<bool> {
protected:
    void SetUp() override {
        const auto programs = std::filesystem::path(engine.condorConfig()).parent_path() / "../bin";
        begin("type = \"htcondor\"\ncondor_config = \"" + engine.condorConfig() +
              "\"\nbin_dir = \"" + programs.lexically_normal().string() +
              "\"\nsubmit_options = [\"request_cpus = 2\", \"request_memory = 64 MB\", "
              "\"request_disk = 1 MB\"]\n" +
              (copies() ? "file_transfer = true\n" : "") +
              (::geteuid() == 0 ? "run_as = \"daemon\"\n" : "trusted_jobs = true\n"));
    }
    void TearDown() override {
        engine.repair();
        EndToEnd::TearDown();
    }
    static bool copies() { return GetParam(); }
    void waitForLine(JobId id) {
        EXPECT_TRUE(waitFor([&] { return says(gitlab->job(id), "line 1\n"); }, "its log"));
    }

    HTCondorEngine& engine = HTCondorEngine::get();
};

TEST_P(HTCondorService, ServiceAndScheddAreKilledInMidRunAndNoJobNotices) {
    std::vector<JobId> ids;
    for (int i = 0; i < 4; ++i) {
        ids.push_back(add("job" + std::to_string(i), "1.5"));
    }
    for (const auto id : ids) {
        waitForLine(id);
    }

    service->killHard();
    engine.kill("condor_schedd");
    service->start();
    engine.repair();

    ASSERT_TRUE(ends(ids));
    for (int i = 0; i < 4; ++i) {
        const auto job = gitlab->job(ids[static_cast<std::size_t>(i)]);
        EXPECT_EQ(job.status, Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_TRUE(isWhole(job));
        EXPECT_EQ(starts("job" + std::to_string(i)), 1);
    }
}

TEST_P(HTCondorService, AScriptThatFailsACancelAndAnAdministratorsRemovalAreToldApart) {
    const auto failing = gitlab->addJob({.script = {"echo before", "exit 3"},
                                         .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    const auto canceled = add("canceled", "10");
    const auto removed = add("removed", "10");
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(canceled), "line 0\n"); }, "its log"));
    ASSERT_TRUE(waitFor([&] { return says(gitlab->job(removed), "line 0\n"); }, "its log"));

    gitlab->cancel(canceled);
    const auto key = service->sql(
        "SELECT submission.key FROM submission JOIN job ON job.id = "
        "submission.job WHERE job.name = 'removed'");
    engine.run("condor_rm -constraint 'GridbridgeKey == \"" + key.substr(0, key.size() - 1) +
               "\"'");

    ASSERT_TRUE(ends({failing, canceled, removed}));
    EXPECT_EQ(gitlab->job(failing).failureReason, "script_failure");
    EXPECT_EQ(gitlab->job(failing).exitCode, 3);
    EXPECT_EQ(gitlab->job(canceled).status, Status::Canceled);
    EXPECT_EQ(gitlab->job(removed).status, Status::Failed);
    EXPECT_EQ(lastLine(gitlab->job(removed)),
              "ERROR: Job failed (system failure): batch job was terminated by the backend");
    for (const auto id : {failing, canceled, removed}) {
        EXPECT_EQ(gitlab->job(id).acceptedFinals, 1);
    }
}

INSTANTIATE_TEST_SUITE_P(Files, HTCondorService, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "copied" : "shared"; });

}  // namespace
}  // namespace gridbridge::testing
