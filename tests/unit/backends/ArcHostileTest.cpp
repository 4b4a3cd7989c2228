// What becomes of jobs when ARC, what stands before it, or another job does its worst.
#include "tests/fakes/FakeArc.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::FakeArc;
using ::testing::HasSubstr;

class ArcHostile : public testing::ArcWorld {};

TEST_F(ArcHostile, AnEmptyAnswerEndsNoJobAndSaysOfNoKeyThatItIsNotThere) {
    ASSERT_TRUE(submit(job()).ok());
    arc_.jobs["a1"].state = "RUNNING";
    for (const char* type : {"text/plain", "", "application/json"}) {
        says("GET ?state", {200, {{"Content-Type", type}}, {}, {}});
        const bool proven = std::string_view(type) == "application/json";
        EXPECT_EQ(backend_.probe(ctx()).ok(), proven) << type;
        says("POST ?action=info", FakeArc::json(200, {}));
        EXPECT_FALSE(find().ok()) << type;
        arc_.faults.erase("POST ?action=info");
    }

    EXPECT_EQ(state(), BatchState::Unknown);
    EXPECT_FALSE(release().ok());
    EXPECT_TRUE(std::filesystem::exists(folders_.path({{"gb-a-1-1"}, ""})));
    says("POST ?action=info", FakeArc::json(200, {}));
    for (const char* none : {R"({"job":null})", R"({"job":[]})"}) {
        says("GET ?state", FakeArc::json(200, none));
        EXPECT_FALSE(backend_.probe(ctx()).ok()) << none;
    }
    arc_.faults.clear();

    arc_.jobs.clear();
    EXPECT_EQ(state(), BatchState::Absent);
    EXPECT_TRUE(release().ok());
    EXPECT_FALSE(std::filesystem::exists(folders_.path({{"gb-a-1-1"}, ""})));
}

TEST_F(ArcHostile, ALargeInputGetsThereInPiecesHoweverSlow) {
    auto large = job();
    large.inputs = {{"job.sh", std::string((std::size_t{8} << 20U) + 10, 'x')}};
    arc_.faults["PUT /a1/session/in/job.sh"] = [&]() -> Result<http::Response> {
        clock_.advance(31s);
        arc_.faults.erase("PUT /a1/session/in/job.sh");
        return transientError("slow");
    };

    ASSERT_TRUE(submit(large).ok());
    EXPECT_EQ(arc_.jobs["a1"].whole.count("gridbridge.sh"), 0U);
    arc_.jobs["a1"].files["in/job.sh"] = std::string(5, 'x');  // Of the piece that was cut off.
    EXPECT_EQ(state(), BatchState::Pending);

    EXPECT_TRUE(arc_.jobs["a1"].files["in/job.sh"] == large.inputs[0].content);
    EXPECT_EQ(arc_.jobs["a1"].whole.count("gridbridge.sh"), 1U);
    EXPECT_EQ(arc_.count("bytes 5-4194308/"), 1);  // Of half as much as was too slow.
    EXPECT_EQ(arc_.count("PUT /a1/session/in/loader.sh"), 1);
    arc_.asked.clear();
    EXPECT_EQ(state(), BatchState::Pending);
    EXPECT_EQ(arc_.asked.size(), 1U);  // All is there.
}

TEST_F(ArcHostile, AnInputOfWhichArcHasForgottenThePiecesIsSentOnceMoreToItsEnd) {
    auto large = job();
    const std::size_t piece = std::size_t{8} << 20U;
    large.inputs = {{"job.sh", std::string(2 * piece + 10, 'x')}};
    arc_.faults["PUT "] = [] { return transientError("refused"); };
    ASSERT_TRUE(submit(large).ok());
    arc_.faults.clear();
    arc_.asked.clear();
    auto& there = arc_.jobs["a1"];
    there.files["in/job.sh"] = large.inputs[0].content;
    std::size_t known = 0;
    arc_.faults["PUT /a1/session/in/job.sh"] = [&]() -> Result<http::Response> {
        clock_.advance(11s);  // There is time for one in each look.
        known += arc_.count(" bytes " + std::to_string(known) + "-") > 0 ? piece : 0;
        if (known > 2 * piece) {
            there.whole.insert("in/job.sh");
        }
        return FakeArc::json(200, {});
    };

    for (int looks = 0; looks < 3; ++looks) {
        EXPECT_EQ(there.whole.count("gridbridge.sh"), 0U);
        EXPECT_EQ(state(), BatchState::Pending);
    }

    EXPECT_EQ(there.whole.count("gridbridge.sh"), 1U);
    EXPECT_EQ(arc_.count("PUT /a1/session/in/job.sh"), 3);
}

TEST_F(ArcHostile, WhoLooksForAJobDoesNotStartItAndWhoObservesItOnlyWhileItIsWanted) {
    for (const bool cancelled : {true, false}) {
        arc_.jobs.clear();
        const auto late = transientError("refused");
        arc_.faults["PUT "] = [&] { return late; };
        ASSERT_TRUE(submit(job()).ok());
        arc_.faults.clear();
        arc_.asked.clear();

        EXPECT_EQ(find()->size(), 1U);
        if (cancelled) {
            EXPECT_TRUE(cancel().ok());
            arc_.jobs["a1"].state = "PREPARING";  // It has not heard of it.
        } else {
            clock_.advance(1h);
        }
        EXPECT_EQ(state(), BatchState::Pending);
        EXPECT_EQ(arc_.jobs["a1"].whole.count("gridbridge.sh"), 0U) << cancelled;
    }
}

TEST_F(ArcHostile, AJobWithoutANameKeepsOthersWaitingForTwoMinutesAndIsTold) {
    arc_.jobs["zz"] = {"RUNNING", ""};
    const auto early = submit(job());
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().kind, ErrorKind::Transient);
    EXPECT_FALSE(find().ok());
    clock_.advance(2min);

    EXPECT_TRUE(submit(job()).ok());
    EXPECT_EQ(find()->size(), 1U);
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_[0], HasSubstr("which job zz is"));
}

TEST_F(ArcHostile, AJobThatIsRemovedMeanwhileNeedsNoName) {
    arc_.jobs["zz"] = {"FINISHED", ""};
    arc_.faults["POST ?action=info"] = [&]() -> Result<http::Response> {
        arc_.jobs.erase("zz");
        arc_.faults.erase("POST ?action=info");
        return FakeArc::json(201, R"({"job":{"id":"zz","status-code":"404","info_document":""}})");
    };

    EXPECT_EQ(find()->size(), 0U);
}

TEST_F(ArcHostile, NamesThatWereToldOnceAreNotAskedForAgainWhenOthersCannotBeTold) {
    for (int i = 0; i < 600; ++i) {
        arc_.jobs["s" + std::to_string(i)] = {"RUNNING", "gb-s-" + std::to_string(i) + "-1"};
    }
    arc_.faults["POST ?action=info"] = [&]() -> Result<http::Response> {
        arc_.faults.erase("POST ?action=info");
        says("POST ?action=info", {503, {}, {}, {}});
        std::string body;
        for (int i = 0; i < 600; ++i) {
            body += (i == 0 ? R"({"id":"s)" : R"(,{"id":"s)") + std::to_string(i) +
                    R"(","info_document":{"ComputingActivity":{"Name":"gb-s-)" + std::to_string(i) +
                    R"(-1"}}})";
        }
        return FakeArc::json(201, R"({"job":[)" + body + "]}");
    };
    EXPECT_FALSE(find().ok());
    EXPECT_EQ(arc_.count("POST ?action=info"), 2);
    arc_.faults.clear();

    EXPECT_TRUE(find().ok());
    EXPECT_EQ(arc_.count("POST ?action=info"), 3);
}

TEST_F(ArcHostile, HalfAnAnswerIsNeitherANameNorAnEnd) {
    arc_.jobs["a1"] = {"FAILED", "gb-a-1-1"};
    arc_.jobs["a1"].failed = "LRMS error: (3) Job finished with wrong exit code - 3 != 0";
    says("POST ?action=info", FakeArc::json(201, R"({"job":[]})"));
    for (const char* half : {"", "globalid=a1\n", "jobname=gb-a-1-1\n", "jobname=\nstarttime=2"}) {
        says("GET /a1/diagnose/local", {200, {{"Content-Type", "text/plain"}}, half, {}});
        EXPECT_FALSE(find().ok()) << half;
        EXPECT_EQ(state(), BatchState::Unknown) << half;
    }
    arc_.faults.erase("GET /a1/diagnose/local");
    arc_.jobs["a1"].failed.clear();
    EXPECT_EQ(state(), BatchState::Unknown);
    arc_.jobs["a1"].failed = "LRMS error: (3) Job finished with wrong exit code - 3 != 0";
    says("GET /a1/diagnose/local", {200, {{"Content-Type", "text/html"}}, "<html>", {}});
    EXPECT_EQ(state(), BatchState::Unknown);
    arc_.faults.erase("GET /a1/diagnose/local");

    EXPECT_EQ(find()->size(), 1U);
    EXPECT_EQ(observe({ref()})[0].exitCode, 3);
}

TEST_F(ArcHostile, ACancelThatIsNotHeardIsAnErrorAndAllAreKilledFirst) {
    ASSERT_TRUE(submit(job()).ok());
    arc_.jobs["a1"].state = "RUNNING";
    arc_.jobs["b1"] = {"RUNNING", "gb-b-1-1"};
    hangs("PUT /a1/session/in/kill", 5s);
    arc_.asked.clear();
    const std::vector<CancelRequest> both{{ref(), CancelKind::Hard}, {other(), CancelKind::Hard}};

    const auto said = backend_.cancel(ctx(), both);

    EXPECT_FALSE(said[0].ok());
    EXPECT_TRUE(said[1].ok());
    EXPECT_EQ(arc_.asked[1], "POST ?action=kill ");
    EXPECT_EQ(arc_.jobs["a1"].state, "KILLING");
    EXPECT_EQ(arc_.jobs["b1"].state, "KILLING");
}

TEST_F(ArcHostile, WhatArcRefusesForOneJobIsAnErrorOfThatJob) {
    end();
    says("POST ?action=clean",
         FakeArc::json(201, R"({"job":{"id":"a1","status-code":"505","reason":"busy"}})"));
    EXPECT_THAT(release().error().message, HasSubstr("busy"));
    EXPECT_TRUE(std::filesystem::exists(folders_.path({{"gb-a-1-1"}, ""})));
    says("POST ?action=clean", FakeArc::json(201, R"({"job":[]})"));
    EXPECT_EQ(release().error().kind, ErrorKind::Transient);
    arc_.faults.clear();
    arc_.jobs["a0"] = arc_.jobs["a1"];

    EXPECT_TRUE(backend_.find(ctx(), std::vector{ref("")}).ok());  // Learns whose they are.
    EXPECT_TRUE(backend_.release(ctx(), std::vector{ref("")})[0].ok());
    EXPECT_TRUE(arc_.jobs.empty());
}

TEST_F(ArcHostile, AJobThatIsJustBeingKilledDoesNotStillRun) {
    ASSERT_TRUE(submit(job()).ok());
    const auto begin = clock_.steadyNow();

    const auto early = release();  // ARC says KILLING, and is busy.

    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().kind, ErrorKind::Transient);
    EXPECT_GE(clock_.steadyNow() - begin, std::chrono::seconds(10));
    arc_.jobs["a1"].state = "KILLED";
    EXPECT_TRUE(release().ok());
}

}  // namespace
}  // namespace gridbridge
