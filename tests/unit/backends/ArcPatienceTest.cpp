// Jobs whose files hang, and what that costs others.
#include "tests/fakes/FakeArc.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::FakeArc;

class ArcPatienceTest : public testing::ArcWorld {
protected:
    /// So many run, with a log each; a listing or a reading of one takes a second.
    std::vector<JobRef> slow(int count, const std::string& list) {
        std::vector<JobRef> refs;
        for (int i = 0; i < count; ++i) {
            const auto id = "s" + std::to_string(100 + i);
            arc_.jobs[id] = {"RUNNING", "gb-" + id + "-1-1", {{"out/log", id}}};
            arc_.faults["GET /" + id + "/session"] = [this, list] {
                clock_.advance(1s);
                return FakeArc::json(200, list);
            };
            refs.push_back({{"gb-" + id + "-1-1"}, "", {id}, {}});
        }
        return refs;
    }
    std::vector<LogRequest> logsOf(const std::vector<JobRef>& refs) const {
        std::vector<LogRequest> requests;
        for (const auto& each : refs) {
            requests.push_back({each, 1, 0, 100});
        }
        return requests;
    }
    Millis timeOf(const std::function<void()>& act) const {
        const auto begin = clock_.steadyNow();
        act();
        return std::chrono::duration_cast<Millis>(clock_.steadyNow() - begin);
    }
};

TEST_F(ArcPatienceTest, AFolderThatNeverAnswersDelaysNoOtherJobAndIsNoEndForEver) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1"};
    arc_.jobs["b1"] = {"RUNNING", "gb-b-1-1", {{"out/started", ""}}};
    hangs("GET /a1/session", 5s);

    auto begin = clock_.steadyNow();
    for (int i = 0; i < 5; ++i) {
        const auto seen = observe({ref(), other()});
        EXPECT_EQ(seen[0].state, BatchState::Pending);
        EXPECT_EQ(seen[1].state, BatchState::Running);
    }
    EXPECT_EQ(clock_.steadyNow() - begin, 5s);

    arc_.jobs["a1"].state = "FINISHED";
    begin = clock_.steadyNow();
    const auto seen = observe({ref()})[0];
    EXPECT_EQ(seen.state, BatchState::Ended);
    EXPECT_TRUE(seen.started);  // For all that is known.
    EXPECT_EQ(clock_.steadyNow(), begin);
}

TEST_F(ArcPatienceTest, ALogThatNeverAnswersIsAskedForMoreAndMoreSeldom) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1", {{"out/log", ""}}};
    hangs("GET /a1/session/out/log", 5s);
    const std::vector<LogRequest> requests{{ref(), 1, 0, 100}};

    for (int i = 0; i < 600; ++i) {  // An hour.
        EXPECT_FALSE(backend_.readLogs(ctx(), requests)[0].ok());
        clock_.advance(6s);
    }
    EXPECT_LE(arc_.count("session/out/log"), 7);

    arc_.jobs["a1"].files.clear();  // As a pipe, which is not listed.
    clock_.advance(2h);
    arc_.asked.clear();
    EXPECT_TRUE(backend_.readLogs(ctx(), requests)[0].ok());
    EXPECT_EQ(arc_.count("session/out/log"), 0);
}

TEST_F(ArcPatienceTest, AnAnswerEndsWhatWasThoughtOfAFile) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1", {{"out/log", "a log"}}};
    const auto read = [&] { return backend_.readLogs(ctx(), logsOf({ref()}))[0].ok(); };
    arc_.silent = {"GET /a1/session/out/log"};
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(read());
        clock_.advance(8min);
    }
    arc_.silent.clear();
    EXPECT_TRUE(read());
    arc_.silent = {"GET /a1/session/out/log"};
    EXPECT_FALSE(read());
    arc_.silent.clear();
    clock_.advance(1min);  // As the first time.

    EXPECT_TRUE(read());
}

TEST_F(ArcPatienceTest, AnArcThatAnswersNobodyMakesNoJobSuspect) {
    std::vector<JobRef> refs{ref(), other()};
    ASSERT_TRUE(submit(job()).ok());
    arc_.jobs["a1"] = {"FINISHED", "gb-a-1-1", {{"out/log", "a log"}, {"out/status", "0"}}};
    arc_.jobs["b1"] = {"RUNNING", "gb-b-1-1", {{"out/log", ""}}};
    arc_.silent = {"GET /"};  // All but lists of jobs.
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(observe(refs)[1].state, BatchState::Unknown);
        EXPECT_LE(timeOf([&] { backend_.readLogs(ctx(), logsOf(refs)); }), 10s);
        EXPECT_FALSE(collect().ok());
    }
    arc_.silent.clear();

    EXPECT_EQ(observe(refs)[0].state, BatchState::Ended);
    for (const auto& chunk : backend_.readLogs(ctx(), logsOf(refs))) {
        EXPECT_TRUE(chunk.ok());
    }
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(ArcPatienceTest, JobsThatHangTakeNoTimeFromOthersFiles) {
    ASSERT_TRUE(submit(job()).ok());
    arc_.jobs["a1"] = {"FINISHED", "gb-a-1-1", {{"out/log", "a log"}, {"out/status", "0"}}};
    std::vector<JobRef> refs;
    for (int i = 0; i < 10; ++i) {
        const auto id = "h" + std::to_string(i);
        arc_.jobs[id] = {"RUNNING", "gb-" + id + "-1-1"};
        arc_.silent.insert("GET /" + id + "/session");
        refs.push_back({{"gb-" + id + "-1-1"}, "", {id}, {}});
    }
    refs.push_back(other());
    arc_.jobs["b1"] = {"RUNNING", "gb-b-1-1", {{"out/log", "here"}}};

    bool read = false;
    for (int calls = 0; calls < 6; ++calls) {
        EXPECT_LE(timeOf([&] { read = backend_.readLogs(ctx(), logsOf(refs)).back().ok(); }), 10s);
    }
    EXPECT_TRUE(read);
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(arc_.allowed["GET /a1/session/out/log"], 30s);
}

TEST_F(ArcPatienceTest, WhoseListCameTooLateIsAskedFirstNextTimeAndNobodyIsUnknown) {
    const auto refs = slow(70, R"({"file":[]})");
    for (int looks = 0; looks < 8; ++looks) {
        for (const auto& seen : observe(refs)) {
            EXPECT_EQ(seen.state, BatchState::Pending);
        }
    }
    for (const auto& each : refs) {
        EXPECT_GE(arc_.count("GET /" + each.id.value + "/session"), 1) << each.id.value;
    }
}

TEST_F(ArcPatienceTest, WhoseLogCameTooLateIsReadFirstNextTime) {
    const auto refs = slow(100, "{}");
    for (int calls = 0; calls < 2; ++calls) {
        backend_.readLogs(ctx(), logsOf(refs));  // A minute.
    }
    for (const auto& each : refs) {
        EXPECT_GE(arc_.count("GET /" + each.id.value + "/session"), 1) << each.id.value;
    }
}

TEST_F(ArcPatienceTest, ALookAtAFewBetweenMakesNobodyWaitLonger) {
    const auto refs = slow(100, "{}");
    for (int calls = 0; calls < 2; ++calls) {
        backend_.readLogs(ctx(), logsOf(refs));
        backend_.readLogs(ctx(), logsOf({refs[0], refs[3]}));
    }
    for (const auto& each : refs) {
        EXPECT_GE(arc_.count("GET /" + each.id.value + "/session"), 1) << each.id.value;
    }
}

TEST_F(ArcPatienceTest, WhoeverWaitedForADiskIsAskedAMinuteAfterIt) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1", {{"out/log", "a log"}}};
    arc_.silent = {"GET /a1/session"};
    for (int i = 0; i < 10; ++i, clock_.advance(2min)) {
        EXPECT_FALSE(backend_.readLogs(ctx(), logsOf({ref()}))[0].ok());
    }
    arc_.silent.clear();

    EXPECT_TRUE(backend_.readLogs(ctx(), logsOf({ref()}))[0].ok());
}

TEST_F(ArcPatienceTest, ADiagnosisThatAJobMadeEndlessIsNone) {
    std::string lines;
    for (int i = 0; lines.size() < (std::size_t{1} << 20U); ++i) {
        lines += "a" + std::to_string(i) + "=\n";
    }
    arc_.jobs["a1"] = {"FINISHED", "gb-a-1-1", {{"out/started", ""}}};
    arc_.jobs["b1"] = {"FINISHED", "gb-b-1-1", {{"out/started", ""}}};
    says("GET /a1/diagnose/diag", {200, {{"Content-Type", "text/plain"}}, lines, {}});
    arc_.silent = {"GET /b1/diagnose/diag"};

    const auto begin = clock_.steadyNow();
    for (int looks = 0; looks < 3; ++looks) {
        for (const auto& seen : observe({ref(), other()})) {
            EXPECT_EQ(seen.state, BatchState::Ended);
        }
    }
    EXPECT_EQ(arc_.count("/a1/diagnose/diag"), 1);
    EXPECT_EQ(clock_.steadyNow() - begin, 5s);
}

TEST_F(ArcPatienceTest, AFolderWithoutAnEndIsNotReadAtEachLook) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1"};
    std::string names = "\"started\"";
    for (int i = 0; i < 200'000; ++i) {
        names += ",\"f" + std::to_string(i) + "\"";
    }
    says("GET /a1/session/out ", FakeArc::json(200, R"({"file":[)" + names + "]}"));

    for (int looks = 0; looks < 5; ++looks) {
        EXPECT_EQ(state(), BatchState::Pending);
    }
    EXPECT_EQ(arc_.count("GET /a1/session/out "), 1);
}

TEST_F(ArcPatienceTest, WhatHangsAtACancelCostsItsTimeOnce) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1"};
    arc_.jobs["b1"] = {"RUNNING", "gb-b-1-1"};
    arc_.silent = {"PUT /a1/session/in/cancel"};
    const auto asks = [&](CancelKind kind) {
        return backend_.cancel(ctx(), std::vector<CancelRequest>{{ref(), kind}, {other(), kind}});
    };
    EXPECT_EQ(timeOf([&] { EXPECT_TRUE(asks(CancelKind::Soft)[1].ok()); }), 5s);
    EXPECT_EQ(timeOf([&] { EXPECT_TRUE(asks(CancelKind::Soft)[1].ok()); }), 0s);

    const auto killed = asks(CancelKind::Hard);  // That file is another.

    EXPECT_TRUE(killed[0].ok() && killed[1].ok());
    EXPECT_EQ(arc_.jobs["a1"].whole.count("in/kill"), 1U);
}

TEST_F(ArcPatienceTest, ALogThatIsShorterThanBeforeSaysSo) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1", {{"out/log", "six by"}}};
    const auto at = [&](std::int64_t offset) {
        const std::vector<LogRequest> requests{{ref(), 1, offset, 100}};
        return std::move(backend_.readLogs(ctx(), requests)[0]).value();
    };
    EXPECT_EQ(at(6).size, 6);
    arc_.jobs["a1"].files["out/log"] = "two";
    EXPECT_EQ(at(6).size, 3);
    EXPECT_EQ(at(6).bytes, "");
    arc_.jobs["a1"].files["out/log"] = "";

    EXPECT_EQ(at(6).size, 0);
}

TEST_F(ArcPatienceTest, AFolderInThePlaceOfALogIsNoLog) {
    arc_.jobs["a1"] = {"RUNNING", "gb-a-1-1"};
    says("GET /a1/session/out/log", FakeArc::json(200, R"({"file":"secret"})"));

    EXPECT_EQ(backend_.readLogs(ctx(), logsOf({ref()}))[0]->bytes, "");
}

}  // namespace
}  // namespace gridbridge
