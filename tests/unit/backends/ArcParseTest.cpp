#include <gmock/gmock.h>

#include "backends/arc/ArcDescription.h"
#include "backends/arc/ArcParse.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// As release 6.17 answers; 7.0 has lists throughout, and short ids.
constexpr const char* kTwo =
    R"({"job":[{"id":"TdlNDm6yQsAoOSAt","state":"PREPARING"},{"id":"temNDm6yQsAoOSAt","state":"RUNNING"}]})";
constexpr const char* kInformation =
    R"({"job":{"status-code":"200","reason":"OK","id":"5LrKDmbv","info_document":{"ComputingActivity":)"
    R"({"ID":"urn:caid::org.nordugrid.arcrest:5LrKDmbv","Name":"gb-abc-1-1","Type":"single",)"
    R"("State":["nordugrid:ACCEPTED","emies:accepted","arcrest:ACCEPTED"],)"
    R"("_attributes":{"BaseType":"    ","Validity":"   "}}}}})";

TEST(ArcParse, AListOfNoneOneAndManyInTheShapesOfBothReleases) {
    EXPECT_THAT(*parseArcJobs(""), IsEmpty());
    EXPECT_THAT(*parseArcJobs(R"({"job":[]})"), IsEmpty());
    for (const char* one : {R"({"job":{"id":"aaa","state":"RUNNING"}})",
                            R"({"job":[{"id":"aaa","state":"RUNNING"}]})"}) {
        const auto jobs = parseArcJobs(one);
        ASSERT_TRUE(jobs.has_value());
        ASSERT_THAT(*jobs, SizeIs(1));
        EXPECT_EQ(jobs->front().id, "aaa");
        EXPECT_EQ(jobs->front().state, "RUNNING");
    }
    const auto jobs = parseArcJobs(kTwo);
    ASSERT_TRUE(jobs.has_value());
    ASSERT_THAT(*jobs, SizeIs(2));
    EXPECT_EQ(jobs->at(1).id, "temNDm6yQsAoOSAt");
}

TEST(ArcParse, WhatBecameOfEachOfASubmission) {
    const auto jobs = parseArcJobs(
        R"({"job":[{"status-code":"201","reason":"Created","id":"a1","state":"ACCEPTING"},)"
        R"({"status-code":500,"reason":"Requested queue nosuch is not allowed for this user"}]})");

    ASSERT_TRUE(jobs.has_value());
    ASSERT_THAT(*jobs, SizeIs(2));
    EXPECT_EQ(jobs->at(0).status, 201);
    EXPECT_EQ(jobs->at(1).status, 500);
    EXPECT_THAT(jobs->at(1).reason, HasSubstr("queue nosuch"));
    EXPECT_THAT(jobs->at(1).id, IsEmpty());
}

TEST(ArcParse, TheInformationAboutAJobHasItsNameAndItsState) {
    const auto jobs = parseArcJobs(kInformation);

    ASSERT_TRUE(jobs.has_value());
    ASSERT_THAT(*jobs, SizeIs(1));
    EXPECT_EQ(jobs->front().name, "gb-abc-1-1");
    EXPECT_EQ(jobs->front().told, "ACCEPTED");
}

TEST(ArcParse, OfAJobThatIsGoneThereIsNoInformation) {
    const auto jobs = parseArcJobs(
        R"({"job":{"status-code":"404","reason":"Job not found","id":"a","info_document":""}})");

    ASSERT_TRUE(jobs.has_value());
    EXPECT_EQ(jobs->front().status, 404);
}

TEST(ArcParse, NamesOfFiles) {
    EXPECT_THAT(parseArcFolder("")->files, IsEmpty());
    EXPECT_THAT(parseArcFolder(R"({"dir":"in"})")->files, IsEmpty());
    EXPECT_THAT(parseArcFolder(R"({"dir":"in"})")->folders, SizeIs(1));
    EXPECT_THAT(parseArcFolder(R"({"file":"a"})")->files, SizeIs(1));
    const auto folder = parseArcFolder(R"({"file":["log","started"],"dir":["a","b"]})");
    EXPECT_EQ(folder->files, (std::set<std::string>{"log", "started"}));
    EXPECT_EQ(folder->folders, (std::set<std::string>{"a", "b"}));
    for (const char* text :
         {"[]", "{", R"({"file":[1]})", R"({"file":{}})", R"({"dir":[1]})", "<html>"}) {
        EXPECT_FALSE(parseArcFolder(text).has_value()) << text;
    }
}

TEST(ArcParse, WhatMakesNoSenseIsNoList) {
    const std::string two(kTwo);
    for (const std::string& body :
         {std::string("null"), std::string("{}"), std::string("[]"), std::string("<html>"),
          std::string(R"({"job":"a"})"), std::string(R"({"job":[1]})"),
          std::string(R"({"job":[{"state":"RUNNING"}]})"),
          std::string(R"({"job":{"id":"../../x","state":"RUNNING"}})"),
          std::string(R"({"job":{"id":"a\nb","state":"RUNNING"}})"),
          std::string(R"({"job":[{"id":"a","state":"RUNNING"},{"id":"a","state":"FINISHED"}]})"),
          std::string(R"({"job":{"status-code":"much","id":"a"}})"),
          std::string(R"({"job":{"id":")") + std::string(200, 'a') + R"(","state":"RUNNING"}})",
          two.substr(0, two.size() / 2), two.substr(0, two.size() - 1), std::string(10'000, '[')}) {
        EXPECT_FALSE(parseArcJobs(body).has_value()) << body.substr(0, 80);
    }
}

TEST(ArcParse, WhatAnAnswerIsInsteadIsNamed) {
    EXPECT_THAT(arcTrouble("\n<!DOCTYPE html><html>"), HasSubstr("a page for people"));
    EXPECT_THAT(arcTrouble(R"({"job":[)"), HasSubstr("cut short"));
}

TEST(ArcParse, LinesTimesAndSizes) {
    const auto fields = parseArcFields("nodename=vm\nexitcode=1\n\nno sense\nexitcode=3\nlast=\r");
    EXPECT_EQ(arcField(fields, "nodename"), "vm");
    EXPECT_EQ(arcField(fields, "exitcode"), "3");
    EXPECT_EQ(arcField(fields, "last"), "");
    EXPECT_EQ(arcField(fields, "absent"), "");
    EXPECT_EQ(arcTime("20261201002931Z"), WallTime(std::chrono::seconds(1796084971)));
    EXPECT_FALSE(arcTime("20261201002931"));
    EXPECT_FALSE(arcTime("yesterday"));
    EXPECT_EQ(arcDuration("2.04s"), Millis(2040));
    for (const char* text : {"2.04", "-1s", "nans", "infs", "1e300s", "s", ""}) {
        EXPECT_FALSE(arcDuration(text)) << text;
    }
    EXPECT_EQ(arcRange("bytes 10-30/2001").from, 10);
    EXPECT_EQ(arcRange("bytes 10-30/2001").total, 2001);
    EXPECT_EQ(arcRange("bytes */2001").total, 2001);
    EXPECT_FALSE(arcRange("bytes */2001").from);
    for (const char* text :
         {"bytes */*", "bytes 1-2/-3", "2001", "bytes 1-2/99999999999999999999"}) {
        EXPECT_FALSE(arcRange(text).total) << text;
    }
}

BatchJob arcJob() {
    BatchJob job;
    job.key = {"gb-abc-1-1"};
    job.deadline = WallTime(std::chrono::hours(1));
    job.label = "phy\"sics\n(executable=\"x\")";
    return job;
}

TEST(ArcDescription, HoldsTheKeyTheFilesAndWhatIsAskedForAndNothingOfAUser) {
    auto job = arcJob();
    const auto text = arcDescription({}, job, {"loader.sh", "job.sh"}, WallTime{});

    EXPECT_EQ(text.value(),
              R"(&(executable="gridbridge.sh")(inputFiles=("in/loader.sh" "")("in/job.sh" ""))"
              R"(("gridbridge.sh" ""))(outputFiles=("/" ""))(stdout="batch.log"))"
              R"((stderr="batch.log")(jobName="gb-abc-1-1")(walltime="3600"))");
    job.resources = {.cpus = 4, .memory = std::int64_t{10} << 30, .queue = "long"};
    EXPECT_THAT(arcDescription({.queue = "short"}, job, {}, WallTime{}).value(),
                HasSubstr(R"((count="4")(countpernode="4")(memory="2560")(queue="long"))"));
    job.resources = {};
    EXPECT_THAT(arcDescription({.queue = "short"}, job, {}, WallTime{}).value(),
                HasSubstr(R"((queue="short"))"));
}

TEST(ArcDescription, ANameThatIsNoPlainOneIsRefused) {
    auto job = arcJob();
    EXPECT_EQ(arcDescription({}, job, {"a\"b"}, WallTime{}).error().kind, ErrorKind::Permanent);
    for (const std::string& name :
         {std::string("gb-a\")(executable=\"x"), std::string("gb-a;b"), std::string("gb-a\nb"),
          std::string("12345"), "gb-" + std::string(200, 'a')}) {
        job.key = {name};
        EXPECT_EQ(arcDescription({}, job, {}, WallTime{}).error().kind, ErrorKind::Permanent)
            << name;
    }
}

}  // namespace
}  // namespace gridbridge
