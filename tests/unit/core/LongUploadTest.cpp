#include <gmock/gmock.h>

#include "tests/fakes/LogLines.h"
#include "tests/fakes/WaitUntil.h"
#include "tests/unit/core/UploadFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using store::Outcome;
using store::State;
using ::testing::HasSubstr;
using Call = testing::FakeRunnerApi::Verb;

class LongUploadTest : public UploadTest {
protected:
    /// Its upload waits at the closed gate.
    void untilUploading() {
        const auto collects = [this] {
            step();
            finishBatchCalls();
            return job(row_).state == State::Collecting;
        };
        ASSERT_TRUE(testing::waitUntil(collects, 50s));
        step();
        gitlab_.gate(Call::Upload).awaitSomebody();
    }
    /// Meanwhile another job gets what it depends on, and is over.
    void smallTransferPasses() {
        auto text = body(2);
        text.insert(text.size() - 1, R"(,"dependencies":[{"id":7,"name":"first","token":"t",)"
                                     R"("artifacts_file":{"filename":"a.zip","size":100}}])");
        const auto other =
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
        capacity().take("pool", "batch");
        answers().post({other, 0, [](Facts&, Live&) {}});
        const auto ends = [&] {
            step();
            finishFileCalls();
            const auto state = job(other).state;
            return HasFatalFailure() || state == State::Reporting || state == State::Done;
        };
        ASSERT_TRUE(testing::waitUntil(ends, 50s));
        EXPECT_EQ(gitlab_.calls(Call::Download, 7).size(), 1U);
        EXPECT_EQ(job(row_).state, State::Collecting);
    }
};

TEST_F(LongUploadTest, ALongUploadSaysInItsSectionHowFarItHasCome) {
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
    const auto line = trace.find("Uploading artifacts as \"archive\" to coordinator... 0 MiB, ");
    EXPECT_LT(trace.find("a.txt: found 1 matching"), line) << trace;
    EXPECT_LT(line, trace.find("201 Created")) << trace;
    EXPECT_LT(trace.find("201 Created"), trace.rfind("section_end"));
}

TEST_F(LongUploadTest, AShortUploadDoesNotSay) {
    begin();
    finishLong(20ms);
    pass(kPoll);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    EXPECT_EQ(count(" MiB, "), 0U);
}

TEST_F(LongUploadTest, WhatALongUploadHasSaidStaysOverARestart) {
    begin();
    gitlab_.gate(Call::Upload).close();
    finishLong(4s);
    untilUploading();
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

TEST_F(LongUploadTest, OfAHugeUploadNoSmallTransferWaits) {
    others_ = R"(,{"name":"huge","paths":["b"],"when":"always","artifact_type":"archive",)"
              R"("artifact_format":"zip"})";
    begin();
    gitlab_.gate(Call::Upload).close();
    backend_.finish(key(row_), 0,
                    "output." + payload::tarballName(0) + "=2048\noutput." +
                        payload::tarballName(1) + "=10000000000\n");
    untilUploading();

    smallTransferPasses();
}

TEST_F(LongUploadTest, OfWhatMayBeHugeOnceItIsUnpackedNoSmallTransferWaits) {
    format_ = "raw";
    begin();
    gitlab_.gate(Call::Upload).close();
    const auto bytes = tarball("a.txt", std::string(80000, ' '));
    leave(bytes);
    finish(0, static_cast<std::int64_t>(bytes.size()));
    untilUploading();

    smallTransferPasses();
}

TEST_F(LongUploadTest, ASecondTryDoesNotSayHowFarItHasCome) {
    begin();
    gitlab_.answerNext(Call::Upload, {.message = "503 Service Unavailable"}, 1);
    finishLong(4s);
    step();
    pass(kPoll);
    pass(1min);

    EXPECT_EQ(job(row_).outcome, Outcome::Success);
    ASSERT_EQ(tries().size(), 2U);
    const auto trace = traceOf(row_);
    EXPECT_LT(trace.find(" MiB, "), trace.find("503 Service Unavailable"));
    EXPECT_LT(trace.rfind(" MiB, "), trace.find("503 Service Unavailable")) << trace;
}

TEST_F(LongUploadTest, WhatIsFarLargerThanTheRunnersLimitIsRefusedUnread) {
    runner().artifactLimit = 3 << 20;
    begin();
    finish(0, (70 << 20) + 1);
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_TRUE(tries().empty());
    EXPECT_THAT(traceOf(row_),
                HasSubstr("ERROR: the artifacts are larger than 70 MiB as the node packed them; "
                          "the artifact_limit of this runner is 3 MiB"));
}

TEST_F(LongUploadTest, TheRunnersLimitIsForWhatGitLabGets) {
    begin();
    runner().artifactLimit = 100 << 10;
    const auto bytes = tarball("a.txt", std::string(std::size_t{1} << 20, ' '));
    ASSERT_GT(bytes.size(), std::size_t{1} << 20);
    leave(bytes);
    finish(0, static_cast<std::int64_t>(bytes.size()));
    pass(kPoll);

    EXPECT_EQ(job(row_).outcome, Outcome::Success) << traceOf(row_);
    EXPECT_EQ(tries().size(), 1U);
}

TEST_F(LongUploadTest, OfWhatTheNodeRefusedNobodySaysThatNothingMatched) {
    begin();
    backend_.finish(key(row_), 0, {}, "collect_failed");
    pass(kPoll);

    EXPECT_EQ(job(row_).failureReason, "script_failure");
    EXPECT_EQ(count("it could not be packed on the node"), 1U) << traceOf(row_);
    EXPECT_EQ(count("no matching files"), 0U);
    EXPECT_EQ(count("No files to upload"), 0U);
}

TEST_F(LongUploadTest, TheServicesLogShowsNoSecretOfAnAnswer) {
    const std::string token = "glcbt-64_abcdefghijklmnop";
    begin(token);
    gitlab_.answerNext(Call::Upload,
                       {.outcome = CallOutcome::TooLarge, .message = "413 for " + token}, 1);
    finish();
    const testing::LogLines lines(log_);
    pass(kPoll);

    EXPECT_EQ(lines.count("413 for [MASKED]"), 1) << lines.all();
    EXPECT_EQ(lines.count(token), 0) << lines.all();
}

TEST_F(LongUploadTest, WhatBecomesLargerThanTheRunnersLimitIsNotSentWhole) {
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

TEST_F(LongUploadTest, LinesAreThoseOfGitLabsTool) {
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

}  // namespace
}  // namespace gridbridge::core
