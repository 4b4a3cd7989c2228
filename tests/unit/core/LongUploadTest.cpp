#include <gmock/gmock.h>

#include "tests/fakes/LogLines.h"
#include "tests/unit/core/UploadFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::CallOutcome;
using store::Outcome;
using store::State;
using ::testing::HasSubstr;
using Call = testing::FakeRunnerApi::Verb;

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
    const auto line = trace.find("Uploading artifacts as \"archive\" to coordinator... 0 MiB, ");
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

}  // namespace
}  // namespace gridbridge::core
