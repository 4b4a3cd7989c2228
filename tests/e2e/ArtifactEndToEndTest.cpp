// Conformance cases of artifacts.
#include "tests/e2e/LifeEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobSnapshot;
using fakegitlab::Status;

std::vector<fakegitlab::RequestRecord> uploads(const JobSnapshot& job) {
    std::vector<fakegitlab::RequestRecord> found;
    std::copy_if(job.requests.begin(), job.requests.end(), std::back_inserter(found),
                 [](const auto& request) { return request.method == "POST"; });
    return found;
}

TEST_F(LifeEndToEnd, Case64NothingMatchesAndTheJobStillSucceeds) {
    const auto job = run({.script = {"true"}, .artifacts = {{.paths = {"nowhere/"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "no matching files"));
    EXPECT_TRUE(says(job, "No files to upload"));
    EXPECT_TRUE(job.artifacts.empty());
}

TEST_F(LifeEndToEnd, Case68ArtifactsAreUploadedExactlyWhenTheyShould) {
    for (const std::string when : {"on_success", "on_failure", "always"}) {
        for (const bool good : {true, false}) {
            const auto job =
                run({.script = {"mkdir out; echo hi > out/a.txt", good ? "true" : "false"},
                     .artifacts = {{.name = "result", .paths = {"out/"}, .when = when}}});
            const bool wanted = when == "always" || (when == "on_success") == good;
            ASSERT_EQ(job.artifacts.size(), wanted ? 1U : 0U) << when << good;
            if (wanted) {
                EXPECT_EQ(job.artifacts[0].filename, "result.zip");
                EXPECT_NE(job.artifacts[0].bytes.find("out/a.txt"), std::string::npos);
            }
        }
    }
}

TEST_F(LifeEndToEnd, Case71UploadIsRepeatedWithTheSameBytes) {
    start();
    gitlab->failNext(fakegitlab::FaultKind::Unavailable, 2, fakegitlab::Call::Upload);

    const auto job = run({.script = {"echo hi > a.txt"}, .artifacts = {{.paths = {"a.txt"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 3U);
    EXPECT_EQ(tries[0].status, 503);
    EXPECT_EQ(tries[1].status, 503);
    EXPECT_EQ(tries[2].status, 201);
    for (const auto& request : tries) {
        EXPECT_EQ(request.bodyHash, tries[0].bodyHash);
        EXPECT_EQ(request.headers.at("content-type"), tries[0].headers.at("content-type"));
    }
}

TEST_F(LifeEndToEnd, Case71UploadIsRepeatedForAsLongAsGitLabCannotTakeIt) {
    start();
    gitlab->failNext(fakegitlab::FaultKind::TooManyRequests, 9, fakegitlab::Call::Upload);

    const auto job = run({.script = {"echo hi > a.txt"}, .artifacts = {{.paths = {"a.txt"}}}});

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 10U);
    for (const auto& request : tries) {
        EXPECT_EQ(request.bodyHash, tries[0].bodyHash);
    }
    EXPECT_EQ(lastLine(job), "Job succeeded");
}

TEST_F(LifeEndToEnd, ArtifactsOfAJobThatEndsWhileGitLabIsAwayFollowWhenItIsBack) {
    start();
    const auto go = folder.path / "go";
    const auto id = gitlab->addJob({.script = {"echo hi > a.txt; echo begun; until [ -e " +
                                               go.string() + " ]; do sleep 0.1; done"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .artifacts = {{.paths = {"a.txt"}}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "begun"));
    gitlab->goAway();
    writeFile(go, "");
    ASSERT_TRUE(waitFor([&] { return service->log().find("collecting job=") != std::string::npos; },
                        "the end of the script"));
    ASSERT_TRUE(waitFor(
        [&] {
            return service->log().find("GitLab does not take what is said") != std::string::npos;
        },
        "the outage to be noticed"));
    gitlab->comeBack();

    const auto job = finished(id);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
}

TEST_F(LifeEndToEnd, Case71RefusedUploadIsTriedThreeTimesAndFailsTheJob) {
    strict = false;  // An archive beside the first is what the server answers with 400.

    const auto job = run({.script = {"echo a > a; echo b > b; echo c > c"},
                          .artifacts = {{.paths = {"a"}}, {.paths = {"b"}}, {.paths = {"c"}}}});

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 1);
    EXPECT_EQ(lastLine(job), "ERROR: Job failed: exit code 1");
    const auto tries = uploads(job);
    ASSERT_EQ(tries.size(), 4U) << "what follows a failed upload is not sent";
    for (std::size_t i = 1; i < tries.size(); ++i) {
        EXPECT_EQ(tries[i].status, 400);
        EXPECT_EQ(tries[i].bodyHash, tries[1].bodyHash);
    }
}

TEST_F(LifeEndToEnd, Case71TooLargeAnArtifactFailsTheJob) {
    auto small = options();
    small.artifactLimit = 1000;
    gitlab.emplace(clock, small);
    gitlab->addRunner("glrt-test");

    const auto job = run(
        {.script = {"head -c 100000 /dev/urandom > a.bin"}, .artifacts = {{.paths = {"a.bin"}}}});

    ASSERT_EQ(uploads(job).size(), 1U) << "413 is final";
    EXPECT_EQ(uploads(job)[0].status, 413);

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_EQ(job.exitCode, 1);
}

}  // namespace
}  // namespace gridbridge::testing
