// What comes back of a job, and what a job or ARC can do against that.
#include "tests/fakes/FakeArc.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::FakeArc;
using ::testing::HasSubstr;

class ArcFetch : public testing::ArcWorld {
protected:
    ArcFetch() {
        end();
        arc_.jobs["a1"].files = {
            {"out/log", "a log"}, {"out/status", "0"}, {"out/artifacts", "a tarball"}};
    }
    void expectAll() const {
        EXPECT_EQ(output("log"), "a log");
        EXPECT_EQ(output("status"), "0");
        EXPECT_EQ(output("artifacts"), "a tarball");
    }
    static http::Response notFound() { return {404, {}, {}, {}}; }
    /// So long that the next time counts.
    void doubtForLong() {
        for (int i = 0; i < 4; ++i, clock_.advance(150s)) {
            EXPECT_FALSE(collect().ok());
        }
    }
};

TEST_F(ArcFetch, WhatIsNotFoundOnceIsNotBelievedToBeGone) {
    for (const char* call : {"GET /a1/session/out ", "GET /a1/session/", "GET /a1/session/out/log",
                             "GET /a1/session/out/artifacts", "GET /a1/session/out/status"}) {
        says(call, notFound());
        EXPECT_FALSE(collect().ok()) << call;
    }
    arc_.faults.clear();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, WhatAJobHidesOfItsOwnFilesIsWaitedForTenMinutes) {
    says("GET /a1/session/out/log", notFound());
    doubtForLong();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(output("status"), "0");
    EXPECT_EQ(output("artifacts"), "a tarball");
}

TEST_F(ArcFetch, WhatIsNotFoundNowAndThenIsNotGone) {
    for (int i = 0; i < 5; ++i) {
        says("GET /a1/session/out/log", notFound());
        EXPECT_FALSE(collect().ok());
        clock_.advance(12min);
        says("GET /a1/session/out/log", {503, {}, {}, {}});
        EXPECT_FALSE(collect().ok());
    }
    says("GET /a1/session/out/log", notFound());
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(collect().ok()) << "but a few times at once";
    }
    arc_.faults.clear();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, ADiskThatHangsWithAllJobsFilesCostsNoneOfThem) {
    for (int i = 0; i < 20; ++i) {
        arc_.silent = {"GET /a1/session"};
        EXPECT_FALSE(observe({ref()})[0].state == BatchState::Absent);
        EXPECT_FALSE(collect().ok());
        clock_.advance(1min);
    }
    arc_.silent.clear();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, AFileInThePlaceOfAllOutputsIsNone) {
    arc_.jobs["a1"].files = {{"out", "mine"}};
    says("GET /a1/session/out ", {200, {{"Content-Type", "application/octet-stream"}}, "x", {}});

    EXPECT_EQ(state(), BatchState::Ended);
    doubtForLong();
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(output("log"), "");
}

TEST_F(ArcFetch, WhatHasRunToItsEndLeftSomethingWhateverAListSays) {
    says("GET /a1/session/out ", FakeArc::json(200, R"({"file":[]})"));
    EXPECT_FALSE(collect().ok());
    arc_.faults.clear();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, ManyThatEndTogetherNeedOneListOfAllJobs) {
    std::vector<JobRef> refs;
    for (int i = 0; i < 20; ++i) {
        const auto id = "e" + std::to_string(i);
        arc_.jobs[id] = {"FINISHED", "gb-" + id + "-1-1", {{"out/log", id}}};
        refs.push_back({{"gb-" + id + "-1-1"}, "", {id}, {}});
        const std::vector<folder::StagedFile> loader{{kLoaderName, ""}};
        ASSERT_TRUE(folders_.stage({refs.back().key, ""}, loader).ok());
    }
    arc_.asked.clear();
    for (const auto& each : std::span(refs).subspan(1)) {
        static_cast<void>(backend_.collect(ctx(), std::span(&each, 1)));
    }
    EXPECT_EQ(arc_.count("GET ?state="), 1);
    clock_.advance(11s);
    static_cast<void>(backend_.collect(ctx(), std::span(&refs[0], 1)));
    EXPECT_EQ(arc_.count("GET ?state="), 2);
}

TEST_F(ArcFetch, OfAJobThatNeverBeganThereIsNothing) {
    arc_.jobs["a1"] = {"FAILED",
                       "gb-a-1-1",
                       {{"gridbridge.sh", ""}, {"in/job.sh", ""}, {"batch.log", "its words"}}};

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(output("batch.log"), "its words");
}

TEST_F(ArcFetch, WhatHasBegunLeavesALogOrAStatus) {
    arc_.jobs["a1"].files = {{"out/started", ""}};
    EXPECT_FALSE(collect().ok());
    arc_.jobs["a1"].files = {{"out/started", ""}, {"out/log", "late"}};

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(output("log"), "late");
}

TEST_F(ArcFetch, AFileThatEndsBeforeItsEndHasNotCome) {
    says("GET /a1/session/out/artifacts", {206, {{"Content-Range", "bytes 0-3/9"}}, "a ta", {}});
    const auto half = collect();
    arc_.faults["GET /a1/session/out/artifacts"] = [&]() -> Result<http::Response> {
        const bool first = arc_.asked.back().ends_with("=0-8388607");
        return http::Response{206,
                              {{"Content-Range", first ? "bytes 0-3/9" : "bytes 4-3/9"}},
                              first ? "a ta" : "",
                              {}};
    };
    const auto none = collect();
    EXPECT_FALSE(half.ok() || none.ok());
    arc_.faults.clear();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, AnEndlessLogIsLeftThereAndTheStatusCounts) {
    says("GET /a1/session/out/log",
         {206, {{"Content-Range", "bytes 0-3/42949672960"}}, "aaaa", {}});

    EXPECT_EQ(collect().value(), CollectOutcome::Done);

    EXPECT_EQ(output("log"), "");
    EXPECT_EQ(arc_.count("session/out/log"), 1);
    EXPECT_EQ(output("status"), "0");
    EXPECT_EQ(output("artifacts"), "a tarball");
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_[0], HasSubstr("gb-a-1-1 these files are lost, for they are too long: log"));
}

TEST_F(ArcFetch, ALinkThatTakesMinutesForAPieceGetsSmallerOnes) {
    const std::string large(std::size_t{3} << 20U, 'y');
    arc_.jobs["a1"].files["out/artifacts"] = large;
    const std::string call = "GET /a1/session/out/artifacts";
    arc_.faults[call] = [&]() -> Result<http::Response> {
        const auto asked = arc_.asked.back();
        const auto from = std::stoul(asked.substr(asked.find('=') + 1));
        const auto last = std::stoul(asked.substr(asked.rfind('-') + 1));
        // 64 KiB in a second.
        const auto need = std::chrono::seconds((last - from + 1) >> 16U);
        if (need > arc_.allowed[call]) {
            clock_.advance(arc_.allowed[call]);
            return uncertainError("no answer came");
        }
        clock_.advance(need);
        return http::Response{206,
                              {{"Content-Range", "bytes " + std::to_string(from) + "-9/3145728"}},
                              large.substr(from, last - from + 1),
                              {}};
    };

    int calls = 1;
    for (; calls < 10 && !collect().ok(); ++calls) {
    }

    EXPECT_LT(calls, 5);
    EXPECT_TRUE(output("artifacts") == large);
}

TEST_F(ArcFetch, AListThatMakesNoSenseKeepsNoFileThere) {
    for (const char* list : {"GET /a1/session/ ", "GET /a1/session/out "}) {
        for (const auto& body : {std::string(R"({"file":[1)"), std::string(2U << 20U, ' ')}) {
            says(list, FakeArc::json(200, body));
        }
    }
    EXPECT_FALSE(collect().ok());
    expectAll();
    arc_.silent = {"GET /a1/session/out/log"};  // As a pipe, which no list tells.
    doubtForLong();
    const auto begin = clock_.steadyNow();

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(clock_.steadyNow() - begin, 5s);
}

TEST_F(ArcFetch, WhatArcSaysItselfIsNotWaitedFor) {
    says("GET /a1/session/ ", {503, {}, {}, {}});

    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    expectAll();
}

TEST_F(ArcFetch, WhatWasFetchedIsNotFetchedAgain) {
    end();
    const std::string large((std::size_t{8} << 20U) + 5, 'y');
    arc_.jobs["a1"].files = {{"out/log", "a log"}, {"out/status", "0"}, {"out/artifacts", large}};
    int pieces = 0;
    arc_.faults["GET /a1/session/out/artifacts"] = [&]() -> Result<http::Response> {
        if (++pieces == 2) {
            return http::Response{503, {}, {}, {}};
        }
        return http::Response{206,
                              {{"Content-Range", "bytes 0-8388607/8388613"}},
                              large.substr(0, std::size_t{8} << 20U),
                              {}};
    };

    EXPECT_FALSE(collect().ok());
    arc_.faults.clear();
    arc_.asked.clear();
    EXPECT_EQ(collect().value(), CollectOutcome::Done);

    EXPECT_TRUE(output("artifacts") == large);
    EXPECT_EQ(output("log"), "a log");
    EXPECT_EQ(arc_.count("artifacts bytes=0-"), 0);
    EXPECT_EQ(arc_.count("artifacts bytes=8388608-"), 1);
}

TEST_F(ArcFetch, WhatAJobLeavesHasAnEnd) {
    end();
    arc_.jobs["a1"].files = {{"out/status", std::string(10'000, '0')},
                             {"batch.log", std::string(1'000'000, 'b')},
                             {"out/log", "a log"}};
    // As if it had come: more than all of them may have.
    const auto out = folders_.path({{"gb-a-1-1"}, ""}) / "out";
    std::ofstream(out / "artifacts").close();
    std::filesystem::permissions(out / "artifacts", std::filesystem::perms(0600));
    std::filesystem::resize_file(out / "artifacts", std::uintmax_t{32} << 30U);
    arc_.jobs["a1"].files["out/artifacts"] = "";
    says("GET /a1/session/out/artifacts",
         {206, {{"Content-Range", "bytes 34359738368-34359738368/99999999999"}}, "x", {}});

    EXPECT_EQ(collect().value(), CollectOutcome::Done);

    EXPECT_EQ(output("status").size(), 4097U);
    EXPECT_EQ(output("batch.log").size(), 256U << 10U);
    EXPECT_EQ(output("log"), "a log");
    EXPECT_EQ(std::filesystem::file_size(out / "artifacts"), 0U);
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_[0], HasSubstr("too long: artifacts"));
}

}  // namespace
}  // namespace gridbridge
