#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using store::State;
using Call = testing::FakeRunnerApi::Verb;

/// What is left of a trace after a power failure, or after somebody has cut its file.
struct Remains {
    std::optional<std::size_t> kept;  ///< The first bytes; nothing = the file is gone.
    std::size_t hole = 0;             ///< The first bytes read as zeros.
};

/// The disk has kept of a trace only a part.
class PowerFailure : public CoreFixture {
protected:
    /// A job with a trace of which GitLab has all but the last line.
    JobRow halfSent(JobRow row) {
        backend_.print(key(row), "sent\n");
        pass(kPoll);
        sent = gitlab_.job(1).trace;
        gitlab_.answerNext(Call::Trace, {});
        backend_.print(key(row), "not sent\n");
        clock_.advance(kPoll);
        step();
        finishCalls();
        step();
        finishCalls();
        EXPECT_EQ(gitlab_.job(1).trace, sent);
        EXPECT_TRUE(traceOf(row).starts_with(sent));
        EXPECT_TRUE(traceOf(row).ends_with("not sent\n"));
        return row;
    }
    JobRow halfSent() { return halfSent(running(1)); }
    /// The same with a time before every line.
    JobRow halfSentWithStamps() {
        auto stamped = body(1);
        const std::string variables = R"("variables":[)";
        stamped.insert(stamped.find(variables) + variables.size(),
                       R"({"key":"FF_TIMESTAMPS","value":"true"},)");
        const auto row =
            store_->receive("pool", "https://gitlab.example.org", "batch", Secret(stamped));
        capacity().take("pool", "batch");
        answers().post({row, 0, [](Facts&, Live&) {}});
        settle();
        backend_.run(key(row));
        pass(kPoll);
        return halfSent(row);
    }
    std::filesystem::path file(JobRow row) const {
        return folder_.path() / "traces" / (store::jobKey(store_->installation(), row) + ".log");
    }
    void leave(JobRow row, const Remains& remains) {
        auto bytes = testing::readFile(file(row));
        std::filesystem::remove(file(row));
        if (remains.kept) {
            bytes.resize(std::min(bytes.size(), *remains.kept));
            std::fill_n(bytes.begin(), std::min(bytes.size(), remains.hole), '\0');
            std::ofstream(file(row), std::ios::binary) << bytes;
        }
    }
    void goOnToTheEnd(JobRow row) {
        backend_.print(key(row), "later\n");
        pass(kPoll * 3);
        backend_.finish(key(row));
        pass(kPoll * 3);
        EXPECT_EQ(job(row).state, State::Done);
        EXPECT_EQ(gitlab_.job(1).trace.find('\0'), std::string::npos);
        EXPECT_TRUE(gitlab_.job(1).trace.starts_with(sent)) << gitlab_.job(1).trace;
        ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    }
    void restartWith(JobRow row, const Remains& remains) {
        leave(row, remains);
        restart();
        goOnToTheEnd(row);
        EXPECT_FALSE(gitlab_.job(1).reports.front().traceEnd);
    }
    static std::string told(const std::string& what) {
        return "\n\033[0;33mWARNING: the machine of gridbridge lost " + what + "\033[0;m\nlater\n";
    }
    /// All that GitLab has, and the line that was never sent, of which `kept` bytes are here.
    std::string allButSentIsLost(std::size_t kept = 0) const {
        return told(std::to_string(sent.size() + 9 - kept) +
                    " bytes of this log here, perhaps with its power: only GitLab has " +
                    std::to_string(sent.size() - kept) + " of them");
    }
    /// Calls that only ask what GitLab has, as the first one does.
    std::size_t emptyParts() const {
        std::size_t count = 0;
        for (const auto& call : gitlab_.calls(Call::Trace, 1)) {
            count += call.bytes == 0 ? 1 : 0;
        }
        return count;
    }

    std::string sent;
};

TEST_F(PowerFailure, WhatGitLabHasStaysThereAndTheRestIsLost) {
    const auto row = halfSent();

    restartWith(row, {5});

    EXPECT_EQ(gitlab_.job(1).trace.find(sent + allButSentIsLost(5)), 0U) << gitlab_.job(1).trace;
    EXPECT_EQ(job(row).traceLost, static_cast<std::int64_t>(sent.size() + 4));
}

TEST_F(PowerFailure, WhatIsHereGoesToGitLab) {
    const auto row = halfSent();

    restartWith(row, {sent.size() + 3});

    EXPECT_EQ(gitlab_.job(1).trace.find(
                  sent + "not" +
                  told("6 bytes of this log here, perhaps with its power: nobody has them")),
              0U)
        << gitlab_.job(1).trace;
    EXPECT_EQ(traceOf(row), gitlab_.job(1).trace);
}

// Traces are not synced: that nothing is left of one is what a power failure does to a young one.
TEST_F(PowerFailure, TraceOfWhichNothingIsLeftGoesOn) {
    const auto row = halfSent();

    restartWith(row, {0});

    EXPECT_EQ(gitlab_.job(1).trace.find(sent + allButSentIsLost()), 0U) << gitlab_.job(1).trace;
}

TEST_F(PowerFailure, TraceWhoseFileIsGoneGoesOn) {
    const auto row = halfSent();

    restartWith(row, {});

    EXPECT_EQ(gitlab_.job(1).trace.find(sent + allButSentIsLost()), 0U) << gitlab_.job(1).trace;
}

class RemainsOfATrace : public PowerFailure, public ::testing::WithParamInterface<Remains> {};

TEST_P(RemainsOfATrace, TimestampedLogStaysOne) {
    const auto row = halfSentWithStamps();
    leave(row, GetParam());
    restart();

    goOnToTheEnd(row);

    const std::regex stamp(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [0-9a-f]{2}[OE][ +])");
    std::istringstream lines(gitlab_.job(1).trace.substr(sent.size()));
    std::string unstamped;
    for (std::string line; std::getline(lines, line);) {
        unstamped += std::regex_search(line, stamp) ? "" : line;
    }
    EXPECT_EQ(unstamped, "") << gitlab_.job(1).trace;
    EXPECT_NE(gitlab_.job(1).trace.find(" 01O later\n"), std::string::npos);
}

// The same while the service runs: somebody has emptied or removed the file.
TEST_P(RemainsOfATrace, LogThatIsCutWhileTheServiceRunsGoesOn) {
    const auto row = halfSent();
    const auto before = gitlab_.calls(Call::Trace, 1).size();
    const auto asked = emptyParts();
    const testing::LogLines lines(log_);
    leave(row, GetParam());

    goOnToTheEnd(row);

    EXPECT_EQ(emptyParts(), asked);
    EXPECT_LT(gitlab_.calls(Call::Trace, 1).size(), before + 20);
    const bool isShorter = GetParam().hole == 0;
    EXPECT_EQ(lines.count("the disk lost a part of a trace"), isShorter ? 1 : 0) << lines.all();
    EXPECT_EQ(lines.count("a trace cannot be read"), 0) << lines.all();
    EXPECT_EQ(gitlab_.job(1).trace.find(sent + allButSentIsLost(GetParam().kept.value_or(0))),
              isShorter ? 0U : std::string::npos)
        << gitlab_.job(1).trace;
    EXPECT_EQ(gitlab_.job(1).reports.front().traceEnd.has_value(), !isShorter);
}

INSTANTIATE_TEST_SUITE_P(Each, RemainsOfATrace,
                         ::testing::Values(Remains{0}, Remains{}, Remains{1}, Remains{28},
                                           Remains{60}, Remains{100000, 28}, Remains{100000, 60}),
                         [](const auto& test) {
                             const Remains& remains = test.param;
                             return (!remains.kept ? "gone"
                                     : remains.hole == 0
                                         ? "first_" + std::to_string(*remains.kept)
                                         : "hole_of_" + std::to_string(remains.hole));
                         });

TEST_F(PowerFailure, LogThatIsCutBeforeItsFirstByteWasSentGoesOn) {
    gitlab_.setAway(true);
    const auto row = running(1);
    const auto length = traceOf(row).size();
    leave(row, {0});
    gitlab_.setAway(false);

    goOnToTheEnd(row);

    EXPECT_EQ(gitlab_.job(1).trace.find(
                  told(std::to_string(length) +
                       " bytes of this log here, perhaps with its power: nobody has them")),
              0U)
        << gitlab_.job(1).trace;
}

TEST_F(PowerFailure, LogThatIsCutWhileItsReportWaitsIsReportedOnce) {
    const auto row = halfSent();
    gitlab_.setAway(true);
    backend_.finish(key(row), 3);
    pass(kPoll * 3);
    ASSERT_EQ(job(row).state, State::Reporting);
    const auto asked = emptyParts();
    leave(row, {5});
    gitlab_.setAway(false);

    pass(kPoll * 30);

    EXPECT_EQ(job(row).state, State::Done);
    ASSERT_EQ(gitlab_.job(1).reports.size(), 1U);
    EXPECT_FALSE(gitlab_.job(1).reports.front().traceEnd);
    EXPECT_TRUE(gitlab_.job(1).trace.starts_with(sent));
    EXPECT_TRUE(gitlab_.job(1).trace.ends_with("ERROR: Job failed: exit code 3\033[0;m\n"))
        << gitlab_.job(1).trace;
    EXPECT_EQ(emptyParts(), asked);
}

TEST_F(PowerFailure, VerdictThatWasLostIsSaidAgain) {
    const auto row = halfSent();
    gitlab_.setAway(true);
    backend_.finish(key(row), 3);
    pass(kPoll * 3);
    ASSERT_EQ(job(row).state, State::Reporting);
    ASSERT_EQ(gitlab_.job(1).trace, sent);
    gitlab_.setAway(false);
    leave(row, {sent.size()});

    restart();
    settle();

    EXPECT_TRUE(gitlab_.job(1).trace.ends_with(
        "nobody has them\033[0;m\n\033[31;1mERROR: Job failed: exit code 3\033[0;m\n"))
        << gitlab_.job(1).trace;
    EXPECT_EQ(gitlab_.job(1).reports.size(), 1U);
}

TEST_F(PowerFailure, NothingIsWrittenUntilGitLabHasSaidWhatItHas) {
    const auto row = halfSent();
    gitlab_.answerNext(Call::Trace, {}, 3);
    const auto length = job(row).traceLength;
    leave(row, {5});
    restart();
    backend_.print(key(row), "later\n");
    const auto asked = gitlab_.calls(Call::Trace, 1).size();
    while (gitlab_.calls(Call::Trace, 1).size() < asked + 3) {
        pass(1s);
        EXPECT_EQ(job(row).traceLength, length);
    }

    pass(kPoll * 12);

    EXPECT_NE(gitlab_.job(1).trace.find("only GitLab has"), std::string::npos)
        << gitlab_.job(1).trace;
    EXPECT_TRUE(gitlab_.job(1).trace.ends_with("\nlater\n"));
}

}  // namespace
}  // namespace gridbridge::core
