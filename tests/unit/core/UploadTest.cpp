#include <gmock/gmock.h>

#include "tests/unit/core/UploadFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using gitlab::JobAnswer;
using store::Outcome;
using store::State;
using ::testing::Each;
using ::testing::HasSubstr;
using Call = testing::FakeRunnerApi::Verb;

TEST_F(UploadTest, OutageOfGitLabFailsNoJobAndEveryTryHasTheSameBytes) {
    begin();
    gitlab_.answerNext(Call::Upload, JobAnswer{.message = "503"}, 20);
    finish();
    const auto since = clock_.steadyNow();
    pass(30min);

    const auto job1 = gitlab_.job(1);
    ASSERT_EQ(job1.uploads.size(), 21U);
    EXPECT_THAT(job1.uploads.front(), HasSubstr("a.txt"));
    EXPECT_THAT(job1.uploads, Each(job1.uploads.front()));
    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    ASSERT_EQ(job1.reports.size(), 1U);
    EXPECT_TRUE(job1.reports.front().success);
    const auto times = seconds(tries());
    for (std::size_t i = 1; i < times.size(); ++i) {
        EXPECT_LE(times[i] - times[i - 1], 61);
    }
    const auto beats = gitlab_.calls(Call::KeepAlive, 1);
    const auto later = std::count_if(beats.begin(), beats.end(),
                                     [&](const auto& call) { return call.at > since; });
    EXPECT_GE(later, 20) << "heartbeats go on";
    const auto trace = traceOf(row_);
    const std::string line = "to coordinator... 503; trying again";
    EXPECT_THAT(trace, HasSubstr(line));
    EXPECT_EQ(trace.find(line), trace.rfind(line)) << "an outage is told once";
}

TEST_F(UploadTest, DescriptionThatDoesNotOpenAnyMoreFailsTheJobAndNotTheService) {
    begin();
    testing::Person(database()).execute("UPDATE job_secret SET payload = zeroblob(200)");
    finish();

    pass(kPoll);

    EXPECT_EQ(job(row_).state, State::Done);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_FALSE(gitlab_.job(1).reports.front().success);
    EXPECT_THAT(traceOf(row_), HasSubstr("does not open"));
    EXPECT_TRUE(tries().empty());
}

TEST_F(UploadTest, WaitsOverARestart) {
    begin();
    gitlab_.answerNext(Call::Upload, JobAnswer{}, 3);
    finish();
    settle();
    ASSERT_EQ(job(row_).state, State::Collecting);

    restart();
    pass(1min);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    EXPECT_THAT(gitlab_.job(1).uploads, Each(gitlab_.job(1).uploads.front()));
}

TEST_F(UploadTest, NothingIsPackedForAServerThatIsAwayAndItFollowsAsSoonAsItIsBack) {
    begin();
    gitlab_.setAway(true);
    finish();
    pass(1h);
    EXPECT_LE(tries().size(), 8U);
    EXPECT_EQ(job(row_).state, State::Collecting);
    gitlab_.setAway(false);
    pass(16s);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
}

TEST_F(UploadTest, FilesThatTheJobForgesBesideItsArchiveAreNotRead) {
    begin();
    folders_.output(payload::namesName(0), file_);
    backend_.finish(
        key(row_), 0,
        "output." + payload::tarballName(0) + "=2048\noutput." + payload::namesName(0) + "=1\n");
    pass(kPoll);

    succeeded();
}

TEST_F(UploadTest, ArtifactsWhoseNamesOnlyTheNodeKnowsAreNothingWithoutThem) {
    begin("token-1", R"("$OUT/a.txt")");
    finish();
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_TRUE(tries().empty());
    EXPECT_THAT(traceOf(row_), HasSubstr("the job does not tell what its artifacts are called"));
}

TEST_F(UploadTest, WaitsForAnArchiveThatIsNotAllThereYet) {
    leave(whole_.substr(0, 600));
    begin();
    finish();
    pass(30s);
    EXPECT_EQ(job(row_).state, State::Collecting);
    EXPECT_TRUE(tries().empty());

    leave(whole_);
    pass(6s);

    succeeded();
}

TEST_F(UploadTest, WaitsForAnArchiveThatIsNotThereAtAllYet) {
    std::filesystem::remove(file_);
    begin();
    finish();
    pass(110s);
    EXPECT_EQ(job(row_).state, State::Collecting);

    leave(whole_);
    pass(6s);

    succeeded();
}

TEST_F(UploadTest, WaitsForAnArchiveAlsoWhenTheLogHasNotComeInTime) {
    leave(whole_.substr(0, 600));
    begin();
    backend_.replaceLog(key(row_), "a log that never comes\n");
    finish();
    backend_.replaceLog(key(row_), "");
    pass(150s);
    EXPECT_EQ(job(row_).state, State::Collecting);

    leave(whole_);
    pass(60s);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
}

TEST_F(UploadTest, AnArchiveThatNeverComesIsNoSuccess) {
    std::filesystem::remove(file_);
    begin();
    finish();
    pass(110s);
    EXPECT_EQ(job(row_).state, State::Collecting);

    pass(20s);

    failed("is incomplete: 0 of 2048 bytes arrived");
}

TEST_F(UploadTest, AnArchiveOfWhichAPartNeverComesIsNoSuccess) {
    leave(whole_.substr(0, 600));
    begin();
    finish(0, std::int64_t{9} << 30);

    pass(130s);

    failed("is incomplete: 600 of 9663676416 bytes arrived");
}

TEST_F(UploadTest, AnArchiveThatNeverComesLeavesAFailedJobItsExitCode) {
    std::filesystem::remove(file_);
    begin();
    finish(3);

    pass(130s);

    failed("is incomplete: 0 of 2048 bytes arrived", 3);
}

TEST_F(UploadTest, RestartsNeitherProlongTheWaitForAnArchiveNorCutIt) {
    std::filesystem::remove(file_);
    begin();
    finish();
    for (int restarts = 0; restarts < 5; ++restarts) {
        pass(20s);
        restart();
    }
    pass(10s);
    EXPECT_EQ(job(row_).state, State::Collecting);

    pass(20s);

    failed("is incomplete: 0 of 2048 bytes arrived");
}

TEST_F(UploadTest, AnArchiveThatCameWhileTheServiceWasAwayForLongIsUploaded) {
    std::filesystem::remove(file_);
    begin();
    finish();
    settle();
    clock_.advance(10min);
    leave(whole_);

    restart();
    pass(kPoll);

    succeeded();
}

TEST_F(UploadTest, AClockThatIsSetDoesNotEndTheWaitForAnArchive) {
    std::filesystem::remove(file_);
    begin();
    finish();
    settle();
    clock_.jumpWall(1h);
    pass(60s);
    EXPECT_EQ(job(row_).state, State::Collecting);

    leave(whole_);
    pass(6s);

    succeeded();
}

TEST_F(UploadTest, WhereTheBatchSystemHasLostOutputsTheirSizesTellWhich) {
    backend_.sayOfFiles(CollectOutcome::Never);
    begin();
    finish();
    pass(kPoll);

    succeeded();
}

TEST_F(UploadTest, AnArchiveThatTheBatchSystemHasLostIsNoSuccess) {
    backend_.sayOfFiles(CollectOutcome::Never);
    std::filesystem::remove(file_);
    begin();
    finish();
    pass(130s);

    failed("is incomplete: 0 of 2048 bytes arrived");
}

TEST_F(UploadTest, AnArchiveThatHasGrownIsNoneOfTheJobs) {
    leave(whole_ + "more");
    begin();
    finish();
    pass(kPoll);

    failed("was changed after the job had packed it: 2052 of 2048 bytes");
}

TEST_F(UploadTest, AnArchiveThatTheJobDoesNotStateIsNotRead) {
    begin();
    backend_.finish(key(row_));
    pass(kPoll);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    EXPECT_TRUE(tries().empty());
    EXPECT_THAT(traceOf(row_), HasSubstr("ERROR: No files to upload"));
}

TEST_F(UploadTest, RefusalsAreAVerdict) {
    begin();
    JobAnswer refused{.outcome = CallOutcome::Rejected, .message = "400 Invalid Format"};
    gitlab_.answerNext(Call::Upload, refused, 100);
    finish();
    pass(1min);

    EXPECT_EQ(tries().size(), 3U);
    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_EQ(job(row_).exitCode, 1);
}

TEST_F(UploadTest, ProxysNotFoundIsBelievedAfterAnHour) {
    begin();
    gitlab_.answerNext(Call::Upload, {.outcome = CallOutcome::NotGitLab, .message = "404"}, 1000);
    finish();
    pass(59min);
    EXPECT_EQ(job(row_).state, State::Collecting);
    pass(3min);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
}

TEST_F(UploadTest, NothingIsTriedWithADeadToken) {
    // {"alg":"RS256"} and {"iat":1767225600,"exp":1767229500}: lives for 65 minutes.
    begin("glcbt-eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyOTUwMH0.c2ln");
    gitlab_.answerNext(Call::Upload, JobAnswer{}, 1000);
    finish();
    pass(64min);
    EXPECT_EQ(job(row_).state, State::Collecting);
    pass(2min);

    EXPECT_NE(job(row_).state, State::Collecting);
    EXPECT_THAT(traceOf(row_), HasSubstr("the job token ended before GitLab took them"));
    const auto tried = tries().size();
    pass(10min);
    EXPECT_EQ(tries().size(), tried);
}

}  // namespace
}  // namespace gridbridge::core
