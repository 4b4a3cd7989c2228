// Jobs that depend on others: what those made comes from GitLab into the project folder.
#include <gmock/gmock.h>

#include "tests/e2e/LifeEndToEnd.h"
#include "tests/e2e/MadeElsewhere.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Call;
using fakegitlab::FaultKind;
using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;
using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Not;

class Dependencies : public LifeEndToEnd {
protected:
    /// A job that has made this archive; its id.
    JobId built(const std::string& name, const std::vector<std::string>& script) {
        const auto job = run({.name = name, .script = script, .artifacts = {{.paths = {"made"}}}});
        EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
        return job.id;
    }
    JobSnapshot reading(const std::vector<JobId>& from, const std::vector<std::string>& script,
                        const std::string& strategy = "none") {
        return run({.name = "reader",
                    .script = script,
                    .afterScript = {"echo after-script-ran"},
                    .variables = {{.key = "GIT_STRATEGY", .value = strategy}},
                    .dependencies = from});
    }
    std::string downloads(JobId of) {
        std::string found;
        for (const auto& request : gitlab->requests()) {
            if (request.method == "GET" &&
                request.path.ends_with("/" + std::to_string(of) + "/artifacts")) {
                found += request.query.empty() ? "plain " : request.query + " ";
            }
        }
        return found;
    }
    /// How many of its attempts the batch system has got.
    std::string submissions(JobId id) {
        return service->sql(
            "SELECT count(submitted_at) || ' of ' || count(*) FROM submission WHERE job = (SELECT "
            "id FROM job WHERE gitlab_id = " +
            std::to_string(id) + ")");
    }
    /// A zip that some other program made, in place of what the job has uploaded.
    void replace(JobId id, const std::string& python) {
        gitlab->replaceArchive(id, zipMadeBy(python, folder.path / "made-elsewhere.zip"));
    }
};

TEST_F(Dependencies, Case74LaterOneWinsModesAreKeptAndSourcesOverwritten) {
    repository({{"made/both", "of the sources\n"}, {"other", "stays\n"}});
    start();
    const auto first = built(
        "first", {"mkdir made", "echo one >made/both", "echo run >made/tool", "chmod 755 made/tool",
                  "ln -s tool made/link", "touch -d '2020-02-02 12:00:00 UTC' made/tool"});
    const auto second = built("second", {"mkdir made", "echo two >made/both"});

    const auto job =
        reading({first, second},
                {"cat made/both other", "ls -l made", "stat -c 'time=%Y mode=%a' made/tool",
                 "echo \"link=$(readlink made/link)\""},
                "clone");

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "two\nstays\n")) << plain(job.trace);
    EXPECT_TRUE(says(job, "time=1580644800 mode=755")) << plain(job.trace);
    EXPECT_TRUE(says(job, "link=tool")) << plain(job.trace);
    EXPECT_TRUE(says(job, "Downloading artifacts for first (" + std::to_string(first) + ")"));
    EXPECT_THAT(sections(job.trace), Contains("+download_artifacts"));
}

TEST_F(Dependencies, Case75MissingArchiveFailsTheJobBeforeItIsSubmitted) {
    start();
    const auto from = built("build", {"mkdir made", "touch made/file"});
    gitlab->setFault(FaultKind::Unavailable, 1.0, Call::Download);
    const auto id = gitlab->addJob({.name = "reader",
                                    .script = {"echo script-ran"},
                                    .afterScript = {"echo after-script-ran"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .dependencies = {from}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "trying again"));
    gitlab->expireArtifacts(from);
    gitlab->setFault(FaultKind::Unavailable, 0, Call::Download);

    const auto job = finished(id);

    EXPECT_EQ(job.status, Status::Failed);
    EXPECT_EQ(job.failureReason, "script_failure");
    EXPECT_TRUE(says(job, "coordinator... not found")) << plain(job.trace);
    EXPECT_FALSE(says(job, "script-ran")) << plain(job.trace);
    EXPECT_THAT(sections(job.trace), Not(Contains("+step_script")));
    EXPECT_EQ(submissions(id), "0 of 1\n");
    for (const auto& left : std::filesystem::directory_iterator(service->workDir())) {
        EXPECT_FALSE(left.path().filename().string().starts_with("gb-")) << left.path();
    }
}

TEST_F(Dependencies, Case76HostileArchiveIsRefusedAndNothingIsWrittenOutside) {
    start();
    const auto from = built("build", {"mkdir made", "touch made/file"});
    const auto victim = (folder.path / "victim").string();
    const auto absolute = (folder.path / "absolute").string();
    const std::vector<std::string> archives{
        "z.writestr('../x', 'out')", "z.writestr('" + absolute + "', 'out')",
        "link('made', '" + victim + "'); z.writestr('made/x', 'out')"};
    for (const auto& python : archives) {
        SCOPED_TRACE(python);
        std::filesystem::create_directory(victim);
        replace(from, python);

        const auto job = reading({from}, {"echo script-ran"});

        EXPECT_EQ(job.status, Status::Failed);
        EXPECT_EQ(job.failureReason, "script_failure");
        EXPECT_FALSE(says(job, "script-ran")) << plain(job.trace);
        EXPECT_TRUE(std::filesystem::is_empty(victim));
    }
    EXPECT_FALSE(std::filesystem::exists(absolute));
}

TEST_F(Dependencies, ObjectStorageGetsNoTokenAndACutAnswerIsFetchedAgain) {
    auto wanted = options();
    wanted.directDownload = true;
    gitlab.emplace(clock, std::move(wanted));
    gitlab->addRunner("glrt-test");
    start();
    const auto from = built("build", {"mkdir made", "echo whole >made/file"});
    gitlab->failNext(FaultKind::DownloadCut, 1);

    const auto job = reading({from}, {"cat made/file"});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "\nwhole\n")) << plain(job.trace);
    EXPECT_FALSE(says(job, "X-Amz-Signature")) << plain(job.trace);
    EXPECT_EQ(service->log().find("X-Amz-Signature"), std::string::npos);
    EXPECT_EQ(downloads(from), "direct_download=true plain ");
}

TEST_F(Dependencies, KilledServiceFetchesThemAgainAndTheJobRunsOnce) {
    start();
    const auto from = built("build", {"mkdir made", "echo whole >made/file"});
    gitlab->setFault(FaultKind::Unavailable, 1.0, Call::Download);
    const auto id = gitlab->addJob({.name = "reader",
                                    .script = {"cat made/file"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .dependencies = {from}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "trying again"));
    service->killHard();
    gitlab->setFault(FaultKind::Unavailable, 0, Call::Download);
    service->start();

    const auto job = finished(id);

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "\nwhole\n")) << plain(job.trace);
    EXPECT_EQ(submissions(id), "1 of 1\n");
}

TEST_F(Dependencies, OutageIsToldOnceAndWaitedFor) {
    start();
    const auto from = built("build", {"mkdir made", "echo whole >made/file"});
    gitlab->failNext(FaultKind::Unavailable, 3, Call::Download);

    const auto job = reading({from}, {"cat made/file"});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_NE(job.trace.find("trying again"), std::string::npos) << plain(job.trace);
    EXPECT_EQ(job.trace.find("trying again"), job.trace.rfind("trying again")) << plain(job.trace);
    EXPECT_EQ(gitlab->faults().at(FaultKind::Unavailable), 3U);
}

TEST_F(Dependencies, CancelDoesNotWaitForADownload) {
    start();
    const auto from = built("build", {"mkdir made", "touch made/file"});
    gitlab->setFault(FaultKind::Unavailable, 1.0, Call::Download);
    const auto id = gitlab->addJob({.name = "reader",
                                    .script = {"echo script-ran"},
                                    .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                    .dependencies = {from}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "trying again"));
    gitlab->cancel(id);

    const auto job = finished(id);

    EXPECT_EQ(job.status, Status::Canceled);
    EXPECT_FALSE(says(job, "script-ran")) << plain(job.trace);
}

TEST_F(Dependencies, ManyOfOneFileNameComeTogether) {
    start();
    std::vector<JobId> all;
    for (int i = 0; i < 15; ++i) {
        all.push_back(
            built("part" + std::to_string(i),
                  {"mkdir made", "echo " + std::to_string(i) + " >made/part" + std::to_string(i)}));
    }

    const auto job = reading(all, {"ls made | wc -l", "cat made/part7"});

    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "\n15\n")) << plain(job.trace);
}

}  // namespace
}  // namespace gridbridge::testing
