#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>

#include "tests/fakes/Gzip.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using gitlab::JobAnswer;
using store::Outcome;
using store::State;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using Call = testing::FakeRunnerApi::Verb;

/// One file in a tarball of 2048 bytes, or more for much content, packed without being made
/// smaller.
std::string tarball(const std::string& name, const std::string& content, int level = 0) {
    std::string header(512, '\0');
    const auto put = [&header](std::size_t at, const std::string& text) {
        header.replace(at, text.size(), text);
    };
    const auto octal = [](std::size_t value) {
        char text[12];
        std::snprintf(text, sizeof text, "%011zo", value);
        return std::string(text);
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(content.size()));
    put(136, octal(0));
    put(148, "        ");
    put(156, "0");
    put(257, std::string("ustar\0"
                         "00",
                         8));
    std::size_t sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    put(148, octal(sum).substr(5) + '\0');
    constexpr std::size_t kFrame = 23;
    auto text = header + content;
    text.resize(content.size() < 1000 ? 2048 - kFrame : (text.size() / 512 + 3) * 512, '\0');
    return testing::gzip(text, level);
}

/// A job with one artifact, whose script ends well.
class UploadTest : public CoreFixture {
protected:
    UploadTest() {
        leave(whole_);
        folders_.output(payload::tarballName(0), file_);
    }
    /// What is seen of the tarball in the job's folder.
    void leave(const std::string& bytes) { std::ofstream(file_, std::ios::binary) << bytes; }
    /// Its script ends, and packed a tarball of that many bytes.
    void finish(int exitCode = 0, std::int64_t bytes = kWhole) {
        backend_.finish(key(row_), exitCode,
                        "output." + payload::tarballName(0) + "=" + std::to_string(bytes) + "\n");
    }
    void begin(const std::string& token = "token-1", const std::string& path = R"("a.txt")") {
        auto text = body(1);
        text.replace(text.find("token-1"), 7, token);
        text.insert(text.size() - 1, R"(,"artifacts":[{"name":"out","paths":[)" + path +
                                         R"(],"when":"always",)"
                                         R"("artifact_type":"archive","artifact_format":")" +
                                         format_ + R"("}])");
        row_ = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
        capacity().take("pool", "batch");
        answers().post({row_, 0, [](Facts&, Live&) {}});
        settle();
        backend_.run(key(row_));
        pass(kPoll);
        ASSERT_EQ(job(row_).state, State::Running);
    }
    std::vector<GitLab::Call> tries() const { return gitlab_.calls(Call::Upload, 1); }
    void failed(const std::string& line, int exitCode = 1) {
        EXPECT_EQ(job(row_).failureReason, "script_failure");
        EXPECT_EQ(job(row_).exitCode, exitCode);
        EXPECT_TRUE(tries().empty());
        const auto trace = traceOf(row_);
        EXPECT_THAT(trace, HasSubstr("ERROR: the artifact out.zip " + line));
        EXPECT_EQ(trace.find("out.zip"), trace.rfind("out.zip")) << "it is told once";
    }
    void succeeded() {
        EXPECT_EQ(job(row_).outcome, Outcome::Success);
        EXPECT_EQ(tries().size(), 1U);
        EXPECT_THAT(traceOf(row_), HasSubstr("a.txt: found 1 matching"));
        EXPECT_THAT(traceOf(row_), Not(HasSubstr("out.zip"))) << "that it was waited for";
    }

    /// Its upload is of some hundred pieces, and takes that long for each.
    void finishLong(Millis each) {
        std::string content(std::size_t{1} << 20, ' ');
        for (std::size_t i = 0, n = 1; i < content.size(); ++i, n = n * 16807 % 2147483647) {
            content[i] = static_cast<char>(n >> 8U);
        }
        gitlab_.whileSending([this, each] { clock_.advance(each); });
        const auto bytes = tarball("a.txt", content);
        leave(bytes);
        finish(0, static_cast<std::int64_t>(bytes.size()));
    }
    std::size_t count(const std::string& text) {
        const auto trace = traceOf(row_);
        std::size_t times = 0;
        for (auto at = trace.find(text); at != std::string::npos; at = trace.find(text, at + 1)) {
            ++times;
        }
        return times;
    }

    static constexpr std::int64_t kWhole = 2048;
    const std::string whole_ = tarball("a.txt", "what the job has made\n");
    const std::filesystem::path file_ = folder_.path() / "a.tar";
    std::string format_ = "zip";
    JobRow row_{};
};

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
    finish(0, std::int64_t{1} << 60);

    pass(130s);

    failed("is incomplete: 600 of 1152921504606846976 bytes arrived");
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

TEST_F(UploadTest, ALongUploadSaysInItsSectionHowFarItHasCome) {
    begin();
    finishLong(4s);
    pass(kPoll);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    const auto took = gitlab_.calls(Call::Upload, 1).at(0).at - start_;
    ASSERT_GT(took, 3min);
    EXPECT_GE(count(" MiB, "), 5U);
    EXPECT_LE(count(" MiB, "), 11U + took / 1min) << "but for each tenth or minute one line";
    EXPECT_EQ(count("section_start"), count("section_end"));
    EXPECT_EQ(count("upload_artifacts_on_success"), 2U);
    const auto trace = traceOf(row_);
    const auto line =
        trace.find("Uploading artifacts as \"archive\" to coordinator... 0 MiB, 1 % ");
    EXPECT_LT(trace.find("a.txt: found 1 matching"), line) << trace;
    EXPECT_LT(line, trace.find("201 Created")) << trace;
    EXPECT_LT(trace.find("201 Created"), trace.rfind("section_end"));
}

TEST_F(UploadTest, AShortUploadDoesNotSay) {
    begin();
    finishLong(20ms);
    pass(kPoll);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    EXPECT_EQ(count(" MiB, "), 0U);
}

TEST_F(UploadTest, WhatALongUploadHasSaidStaysOverARestart) {
    begin();
    gitlab_.gate(Call::Upload).close();
    finishLong(4s);
    while (job(row_).state != State::Collecting) {
        step();
        finishBatchCalls();
    }
    step();
    gitlab_.gate(Call::Upload).awaitSomebody();
    step();
    const auto said = traceOf(row_);
    EXPECT_GE(count(" MiB, "), 5U) << "before it is over";
    EXPECT_EQ(job(row_).traceLength, static_cast<std::int64_t>(said.size()));

    gitlab_.whileSending([] {});
    gitlab_.openAllGates();
    restart();
    pass(1min);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    EXPECT_TRUE(traceOf(row_).starts_with(said));
    EXPECT_EQ(gitlab_.job(1).trace, traceOf(row_));
}

TEST_F(UploadTest, OfAHugeUploadNoSmallTransferWaits) {
    begin();
    gitlab_.gate(Call::Upload).close();
    backend_.finish(key(row_), 0,
                    "output." + payload::tarballName(0) + "=2048\noutput." +
                        payload::tarballName(1) + "=10000000000\n");
    while (job(row_).state != State::Collecting) {
        step();
        finishBatchCalls();
    }
    step();
    gitlab_.gate(Call::Upload).awaitSomebody();

    auto text = body(2);
    text.insert(text.size() - 1, R"(,"dependencies":[{"id":7,"name":"first","token":"t",)"
                                 R"("artifacts_file":{"filename":"a.zip","size":100}}])");
    const auto other = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
    capacity().take("pool", "batch");
    answers().post({other, 0, [](Facts&, Live&) {}});
    while (job(other).state != State::Reporting && job(other).state != State::Done) {
        step();
        finishFileCalls();
    }

    EXPECT_EQ(gitlab_.calls(Call::Download, 7).size(), 1U);
    EXPECT_EQ(job(row_).state, State::Collecting);
}

TEST_F(UploadTest, WhatIsLargerThanTheRunnersLimitIsRefusedUnread) {
    runner().artifactLimit = 3 << 20;
    begin();
    finish(0, (3 << 20) + 1);
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_TRUE(tries().empty());
    EXPECT_THAT(traceOf(row_), HasSubstr("ERROR: the artifacts are larger than 3 MiB as they are "
                                         "packed on the node, the artifact_limit"));
}

TEST_F(UploadTest, WhatBecomesLargerThanTheRunnersLimitIsNotSentWhole) {
    format_ = "raw";
    begin();
    runner().artifactLimit = 100 << 10;
    const auto bytes = tarball("a.txt", std::string(std::size_t{1} << 20, ' '), 9);
    leave(bytes);
    finish(0, static_cast<std::int64_t>(bytes.size()));
    const testing::LogLines lines(log_);
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_TRUE(tries().empty());
    EXPECT_THAT(traceOf(row_), HasSubstr("as they are packed for GitLab"));
    EXPECT_EQ(lines.count("artifacts of a job cannot be uploaded"), 1) << lines.all();
}

TEST_F(UploadTest, LinesAreThoseOfGitLabsTool) {
    begin();
    gitlab_.answerNext(Call::Upload,
                       {.outcome = CallOutcome::TooLarge, .message = "413 Payload Too Large"}, 1);
    finish();
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    const std::string red = "\033[31;1m";
    const std::string reset = "\033[0;m ";
    EXPECT_THAT(traceOf(row_),
                HasSubstr("\033[32;1mUploading artifacts...\033[0;m\n"
                          "a.txt: found 1 matching artifact files and directories" +
                          reset + "\n" + red +
                          "ERROR: Uploading artifacts as \"archive\" to coordinator... 413 Payload "
                          "Too Large" +
                          reset + " " + red + "id\033[0;m=1\n" + red + "FATAL: too large" +
                          std::string(34, ' ') + reset + "\n"));
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
