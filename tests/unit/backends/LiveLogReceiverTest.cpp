#include <gmock/gmock.h>

#include <memory>
#include <vector>

#include "backends/api/SharedFolder.h"
#include "backends/diracx/LiveLogReceiver.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/unit/backends/LiveLogTest.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;
using testing::LiveLogTest;
using testing::readFile;

/// Requests over HTTP, as from anybody.
class LiveLogReceiverTest : public LiveLogTest {};

TEST_F(LiveLogReceiverTest, WhatIsPostedInOrderIsTheLogAndNothingComesTwice) {
    EXPECT_EQ(post(0, "one\n"), "200 4");
    EXPECT_EQ(post(0, "one\n"), "409 4") << "its answer was lost";
    EXPECT_EQ(post(9, "x"), "409 4") << "something is missing before it";
    EXPECT_EQ(post(4, std::string("tw\0o", 4)), "200 8");
    EXPECT_EQ(post(8, ""), "200 8");
    EXPECT_EQ(shown(), std::string("one\ntw\0o", 8));
    EXPECT_EQ(shown(1, 4), std::string("tw\0o", 4));
}

TEST_F(LiveLogReceiverTest, ATokenIsGoodForItsOwnJobAlone) {
    addJob("gb-a-2-1");
    const auto other = token("gb-a-2-1");
    EXPECT_NE(other, token());
    const std::vector<std::string> wrongs{"",
                                          "Bearer ",
                                          other,
                                          token() + "0",
                                          token().substr(0, token().size() - 1),
                                          "bearer" + token().substr(6)};
    for (const auto& wrong : wrongs) {
        EXPECT_THAT(post(0, "x", kRun, "gb-a-1-1", wrong), HasSubstr("403")) << wrong;
    }
    // Whether there is such a job nobody learns without its token.
    EXPECT_EQ(post(0, "x", kRun, "gb-a-9-1", token()), post(0, "x", kRun, "gb-a-2-1", token()));
    EXPECT_EQ(shown(), "");
}

TEST_F(LiveLogReceiverTest, WhatIsNoRequestOfOursIsRefused) {
    for (const std::string target : {"/", "/v1/log/", "/v1/log/../x", "/v1/log/gb-a-1-1/x",
                                     "/v1/log/gb-A-1-1", "//v1/log/gb-a-1-1", "/v2/log/gb-a-1-1"}) {
        EXPECT_THAT(send("POST", target, token(), "x"), HasSubstr("403")) << target;
    }
    const std::string path = "/v1/log/gb-a-1-1";
    const std::string run = kRun;
    const std::vector<std::string> queries{"",
                                           "?",
                                           "?run=" + run,
                                           "?offset=0",
                                           "?offset=0&run=" + run,
                                           "?run=" + run + "&offset=",
                                           "?run=" + run + "&offset=-1",
                                           "?run=" + run + "&offset=+1",
                                           "?run=" + run + "&offset=0x1",
                                           "?run=" + run + "&offset=99999999999999999999",
                                           "?run=" + run + "&offset=0&x=1",
                                           "?run=../../../../../x&offset=0",
                                           "?run=" + run + "0&offset=0",
                                           "?run=ABCDEFABCDEFABCD&offset=0"};
    for (const auto& query : queries) {
        EXPECT_THAT(send("POST", path + query, token(), "x"), HasSubstr("400")) << query;
    }
    EXPECT_THAT(send("GET", path + "?run=" + run + "&offset=0", token(), ""), HasSubstr("405"));
    EXPECT_THAT(post(0, std::string(65537, 'x')), HasSubstr("413"));
    EXPECT_EQ(shown(), "");
    EXPECT_EQ(post(0, std::string(65536, 'x')), "200 65536");
}

TEST_F(LiveLogReceiverTest, ASecondCopyHasATextOfItsOwnAndFewAreHeard) {
    EXPECT_EQ(post(0, "first\n", "0000000000000001"), "200 6");
    EXPECT_EQ(shown(1), "first\n");
    EXPECT_EQ(post(0, "second\n", "0000000000000002"), "200 7");
    EXPECT_EQ(post(6, "more\n", "0000000000000001"), "200 11");
    EXPECT_EQ(shown(1), "first\nmore\n");
    EXPECT_EQ(shown(2, 11), "second\n") << "of the next run, whose text goes on after that one";
    EXPECT_EQ(shown(2, 6), "more\n");
    EXPECT_EQ(shown(3, 18), "") << "which has not begun";
    EXPECT_EQ(post(0, "3", "0000000000000003"), "200 1");
    EXPECT_EQ(post(0, "4", "0000000000000004"), "200 1");
    EXPECT_THAT(post(0, "5", "0000000000000005"), HasSubstr("429"));
    EXPECT_EQ(shown(1) + shown(2, 11), "first\nmore\nsecond\n");
}

TEST_F(LiveLogReceiverTest, ALogHasAnEndAndACancelIsToldAfterIt) {
    const std::string piece(65536, 'x');
    std::int64_t size = 0;
    for (; size + 65536 < LiveLog::kMost; size += 65536) {
        ASSERT_EQ(post(size, piece), "200 " + std::to_string(size + 65536));
    }
    EXPECT_EQ(post(size, piece.substr(1)), "200 " + std::to_string(LiveLog::kMost - 1));
    EXPECT_EQ(post(LiveLog::kMost - 1, "ab"), "200 " + std::to_string(LiveLog::kMost) + " full");
    EXPECT_EQ(post(LiveLog::kMost, "c"), "200 " + std::to_string(LiveLog::kMost) + " full");
    ASSERT_TRUE(folders_.requestCancel({{"gb-a-1-1"}, ""}).ok());
    EXPECT_EQ(post(LiveLog::kMost, ""), "200 " + std::to_string(LiveLog::kMost) + " cancel full");
}

TEST_F(LiveLogReceiverTest, AfterARestartTokensAndOffsetsAreWhatTheyWere) {
    const auto before = token();
    EXPECT_EQ(post(0, "one\n"), "200 4");
    EXPECT_EQ(shown(), "one\n");
    restart();
    EXPECT_EQ(token(), before);
    EXPECT_TRUE(receiver_->hears(ref())) << "a copy was heard before";
    EXPECT_EQ(post(0, "one\n"), "409 4");
    EXPECT_EQ(post(4, "two\n"), "200 8");
    EXPECT_EQ(shown(), "one\ntwo\n");
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(workDir() / "live-log.key").permissions(),
              perms::owner_read | perms::owner_write);
}

TEST_F(LiveLogReceiverTest, WhoIsNotWantedHearsItAndAWorkFolderThatIsAwaySaysNothing) {
    EXPECT_FALSE(receiver_->hears(ref()));
    EXPECT_EQ(post(0, "one\n"), "200 4");
    EXPECT_TRUE(receiver_->hears(ref()));
    ASSERT_TRUE(folders_.free({{"gb-a-1-1"}, ""}).ok());
    const auto keyFile = workDir() / "live-log.key";
    std::filesystem::rename(keyFile, temp_.path() / "key");
    EXPECT_THAT(post(4, "two\n"), HasSubstr("503")) << "nothing at all is there";
    std::filesystem::rename(temp_.path() / "key", keyFile);
    EXPECT_EQ(post(4, "two\n"), "410 gone");
}

TEST_F(LiveLogReceiverTest, WithoutRoomNothingIsKeptAndACancelIsHeard) {
    config_.leastFree = std::uint64_t{1} << 62U;
    restart();
    EXPECT_EQ(post(0, "one\n"), "507 0");
    ASSERT_TRUE(folders_.requestCancel({{"gb-a-1-1"}, ""}).ok());
    EXPECT_EQ(post(0, "one\n"), "507 0 cancel");
    config_.leastFree = 0;
    restart();
    EXPECT_EQ(post(0, "one\n"), "200 4 cancel");
}

TEST_F(LiveLogReceiverTest, AKeyFileThatHoldsNoneIsNotReplaced) {
    receiver_.reset();
    std::ofstream(workDir() / "live-log.key") << "short";
    EXPECT_THROW(restart(), std::runtime_error);
    EXPECT_EQ(readFile(workDir() / "live-log.key"), "short");
}

/// The end of a job's log, as its sandbox brings it.
class LiveLogEnd : public LiveLogTest {
protected:
    /// All of the log after the end, with the number of bytes that the status file tells.
    std::string endWith(const std::string& log) {
        if (!log.empty()) {
            put("log", log);
            put("status", "nonce=x\nlog_bytes=" + std::to_string(log.size()) + "\nended_at=1\n");
        }
        EXPECT_TRUE(log_->settle(ref(), 1).ok());
        EXPECT_TRUE(log_->settle(ref(), 1).ok()) << "again";
        const auto all = readFile(workDir() / "gb-a-1-1/out/log");
        if (!log.empty()) {
            EXPECT_EQ(readFile(workDir() / "gb-a-1-1/out/status"),
                      "nonce=x\nlog_bytes=" + std::to_string(all.size()) + "\nended_at=1\n");
        }
        EXPECT_EQ(post(0, "late"), "410 gone");
        return all;
    }
    void put(const std::string& name, const std::string& text) {
        ASSERT_TRUE(folders_.append({{"gb-a-1-1"}, ""}, "out/" + name, 0, text).ok());
    }
};

TEST_F(LiveLogEnd, TheSandboxOnlyAppends) {
    post(0, "one\n");
    EXPECT_EQ(shown(), "one\n");
    EXPECT_EQ(endWith("one\ntwo\n"), "one\ntwo\n");
}

TEST_F(LiveLogEnd, WithoutASandboxTheLiveTextStays) {
    post(0, "one\n");
    EXPECT_EQ(shown(), "one\n");
    EXPECT_EQ(endWith(""), "one\n");
}

TEST_F(LiveLogEnd, ALogThatWasCutKeepsWhatWasShown) {
    post(0, "one\ntwo\n");
    EXPECT_EQ(shown(), "one\ntwo\n");
    EXPECT_EQ(endWith("one\n"), "one\ntwo\n");
}

TEST_F(LiveLogEnd, AnotherLogThanTheOneThatWasShownFollowsAfterALine) {
    post(0, "one");
    EXPECT_EQ(shown(), "one");
    const auto all = endWith("ONE\ntwo\n");
    EXPECT_TRUE(all.starts_with("one\n")) << all;
    EXPECT_TRUE(all.ends_with("\nONE\ntwo\n")) << all;
    EXPECT_THAT(all, HasSubstr("does not begin with what is above"));
}

TEST_F(LiveLogEnd, OfARunThatSentNothingTheSandboxIsAll) {
    post(0, "one\n");
    EXPECT_EQ(shown(1), "one\n");
    put("log", "two\n");
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(log_->settle(ref(), 2).ok());
        EXPECT_EQ(readFile(workDir() / "gb-a-1-1/out/log"), "one\ntwo\n");
    }
}

TEST_F(LiveLogEnd, TheLogOfARunFollowsWhatWasShownOfTheOneBefore) {
    post(0, "one\n", "0000000000000001");
    EXPECT_EQ(shown(1), "one\n");
    post(0, "two\n", "0000000000000002");
    EXPECT_EQ(shown(2, 4), "two\n");
    post(4, "late\n", "0000000000000001");
    put("log", "two\nthree\n");
    put("status", "nonce=x\nlog_bytes=10\n");
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(log_->settle(ref(), 2).ok());
        EXPECT_EQ(readFile(workDir() / "gb-a-1-1/out/log"), "one\ntwo\nthree\n");
        EXPECT_EQ(readFile(workDir() / "gb-a-1-1/out/status"), "nonce=x\nlog_bytes=14\n");
        restart();
    }
}

}  // namespace
}  // namespace gridbridge
