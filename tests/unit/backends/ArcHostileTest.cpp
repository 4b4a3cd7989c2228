// What becomes of jobs when ARC, what stands before it, or another job does its worst.
#include <gmock/gmock.h>

#include <fstream>

#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcBackend.h"
#include "bridge/base/Process.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using ::testing::HasSubstr;
using testing::TempDir;

const std::string kJobsPath = "/rest/1.0/jobs";

/// An ARC: jobs with files, and what goes wrong with a call whose method and path begin so.
struct FakeArc {
    struct Job {
        std::string state;
        std::string name;
        std::map<std::string, std::string> files = {};
        std::set<std::string> whole = {};
        std::string failed = {};
    };
    std::map<std::string, Job> jobs;
    std::map<std::string, std::function<Result<http::Response>()>> faults;
    std::vector<std::string> asked;  ///< With the range, if any.

    static http::Response json(int status, const std::string& body) {
        return {status, {{"Content-Type", "application/json"}}, body, {}};
    }
    static std::string headerOf(const http::Request& request, const std::string& name) {
        for (const auto& [key, value] : request.headers) {
            if (key == name) {
                return value;
            }
        }
        return {};
    }
    int count(const std::string& what) const {
        return static_cast<int>(std::count_if(asked.begin(), asked.end(), [&](const auto& each) {
            return each.find(what) != std::string::npos;
        }));
    }

    Result<http::Response> answer(const http::Request& request) {
        const auto call = request.method + " " + request.path.substr(kJobsPath.size());
        asked.push_back(call + " " + headerOf(request, "Range") +
                        headerOf(request, "Content-Range"));
        for (const auto& [what, fault] : faults) {
            if (call.starts_with(what)) {
                return fault();
            }
        }
        if (call.starts_with("GET ?state=")) {
            return list();
        }
        if (call == "POST ?action=new") {
            jobs["a1"] = {"PREPARING", "gb-a-1-1"};
            return json(201, R"({"job":[{"status-code":"201","id":"a1","state":"ACCEPTING"}]})");
        }
        if (call.starts_with("POST ?action=")) {
            return act(call.substr(13), request.body);
        }
        const auto rest = call.substr(call.find('/') + 1);
        const auto slash = rest.find('/');
        const auto job = jobs.find(rest.substr(0, slash));
        const auto file = rest.substr(rest.find('/', slash + 1) + 1);
        if (job == jobs.end()) {
            return json(404, {});
        }
        return call.find("/diagnose/") != std::string::npos ? diagnose(job->second, file)
                                                            : session(job->second, file, request);
    }

private:
    http::Response list() const {
        std::string body;
        for (const auto& [id, job] : jobs) {
            body += (body.empty() ? "" : ",") +
                    (R"({"id":")" + id + R"(","state":")" + job.state + "\"}");
        }
        return json(200, R"({"job":[)" + body + "]}");
    }
    http::Response act(const std::string& action, const std::string& sent) {
        std::string body;
        for (std::size_t at = sent.find(R"("id":")"); at != std::string::npos;
             at = sent.find(R"("id":")", at + 1)) {
            const auto id = sent.substr(at + 6, sent.find('"', at + 6) - at - 6);
            const auto job = jobs.find(id);
            const bool known = job != jobs.end();
            body += (body.empty() ? "" : ",") +
                    (R"({"id":")" + id + R"(","status-code":")" + (known ? "202" : "404") +
                     R"(","info_document":)" +
                     (known && !job->second.name.empty()
                          ? R"({"ComputingActivity":{"Name":")" + job->second.name + R"("}}})"
                          : R"(""})"));
            if (known && action == "clean") {
                jobs.erase(job);
            } else if (known && action == "kill") {
                job->second.state = "KILLING";
            }
        }
        return json(201, R"({"job":[)" + body + "]}");
    }
    static http::Response diagnose(const Job& job, const std::string& what) {
        std::string text;
        if (what == "local" && !job.name.empty()) {
            text = "jobname=" + job.name + "\nstarttime=20261201002931Z\nfailedstate=INLRMS\n";
        } else if (what == "input_status") {
            for (const auto& name : job.whole) {
                text += "/" + name + "\n";
            }
        } else if (what == "failed") {
            text = job.failed;
        }
        return {text.empty() ? 404 : 200, {{"Content-Type", "text/plain"}}, text, {}};
    }
    static http::Response session(Job& job, const std::string& file, const http::Request& request) {
        if (request.method == "PUT") {
            const auto range = arcRange(headerOf(request, "Content-Range"));
            auto& there = job.files[file];
            there.resize(static_cast<std::size_t>(range.from.value_or(0)));
            there += request.body;
            if (!range.total || static_cast<std::int64_t>(there.size()) == *range.total) {
                job.whole.insert(file);
            }
            return json(200, {});
        }
        if (file == "out" || file.empty()) {
            std::string names;
            const auto folder = file.empty() ? "" : file + "/";
            for (const auto& [name, content] : job.files) {
                if (name.starts_with(folder)) {
                    names += (names.empty() ? "\"" : ",\"") + name.substr(folder.size()) + "\"";
                }
            }
            return json(200, R"({"file":[)" + names + "]}");
        }
        const auto found = job.files.find(file);
        if (found == job.files.end()) {
            return json(404, {});
        }
        const auto range = headerOf(request, "Range");
        const auto from = std::stoul(range.substr(6));
        const auto last = std::stoul(range.substr(range.find('-') + 1));
        const auto size = std::to_string(found->second.size());
        if (from >= found->second.size()) {
            return {416, {{"Content-Range", "bytes */" + size}}, {}, {}};
        }
        return {206,
                {{"Content-Range", "bytes " + std::to_string(from) + "-9/" + size}},
                found->second.substr(from, last - from + 1),
                {}};
    }
};

class ToFakeArc final : public http::Transport {
public:
    explicit ToFakeArc(FakeArc& arc) : arc_(arc) {}
    Result<http::Response> send(const CallContext&, const http::Request& request) override {
        return arc_.answer(request);
    }
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string&) const override {
        return std::unique_ptr<http::Transport>(new ToFakeArc(arc_));
    }

private:
    FakeArc& arc_;
    const std::string url_ = "https://ce/arex";
};

class ArcHostile : public ::testing::Test {
protected:
    BatchJob job() const {
        BatchJob made;
        made.key = {"gb-a-1-1"};
        made.loader = "true\n";
        made.inputs = {{"job.sh", "echo"}};
        made.outputs = {"artifacts"};
        made.deadline = clock_.wallNow() + 1h;
        return made;
    }
    CallContext ctx() const { return {.deadline = clock_.steadyNow() + 60s}; }
    static JobRef ref(const std::string& id = "a1") { return {{"gb-a-1-1"}, "", {id}, {}}; }
    static JobRef other() { return {{"gb-b-1-1"}, "", {"b1"}, {}}; }
    Result<Submission> submit(const BatchJob& wanted) {
        return backend_.submit(ctx(), std::vector{wanted}).front();
    }
    std::vector<Observation> observe(const std::vector<JobRef>& refs) {
        return backend_.observe(ctx(), refs).value();
    }
    BatchState state() { return observe({ref()})[0].state; }
    Result<std::vector<FoundJob>> find() { return backend_.find(ctx(), std::vector{ref("")}); }
    Result<void> release() { return backend_.release(ctx(), std::vector{ref()})[0]; }
    Result<CollectOutcome> collect() { return backend_.collect(ctx(), std::vector{ref()})[0]; }
    Result<CancelOutcome> cancel() {
        const std::vector<CancelRequest> requests{{ref(), CancelKind::Hard}};
        return backend_.cancel(ctx(), requests)[0];
    }
    /// It is submitted and has ended.
    void end() {
        ASSERT_TRUE(submit(job()).ok());
        arc_.jobs["a1"].state = "FINISHED";
    }
    void says(const std::string& call, const http::Response& answer) {
        arc_.faults[call] = [answer] { return answer; };
    }
    /// It takes so long, and then is answered, or not.
    void hangs(const std::string& call, Millis time) {
        arc_.faults[call] = [this, time] {
            clock_.advance(time);
            return uncertainError("no answer came");
        };
    }
    std::string output(const std::string& name) const {
        std::ifstream file(folders_.path({{"gb-a-1-1"}, ""}) / "out" / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    TempDir temp_;
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    PosixProcessRunner runner_{clock_};
    FakeArc arc_;
    std::vector<std::string> told_;
    ArcBackend backend_{{.url = "https://ce/arex"},
                        std::make_unique<ToFakeArc>(arc_),
                        folders_,
                        runner_,
                        clock_,
                        [this](const auto& text) { told_.push_back(text); }};
};

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

    arc_.jobs.clear();
    EXPECT_EQ(state(), BatchState::Absent);
    EXPECT_TRUE(release().ok());
    EXPECT_FALSE(std::filesystem::exists(folders_.path({{"gb-a-1-1"}, ""})));
}

TEST_F(ArcHostile, AFolderThatNeverAnswersDelaysNoOtherJobAndIsNoEndForEver) {
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

TEST_F(ArcHostile, ALogThatNeverAnswersIsAskedForMoreAndMoreSeldom) {
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
    EXPECT_EQ(arc_.count("bytes 5-8388612/"), 1);
    EXPECT_EQ(arc_.count("PUT /a1/session/in/loader.sh"), 1);
    arc_.asked.clear();
    EXPECT_EQ(state(), BatchState::Pending);
    EXPECT_EQ(arc_.asked.size(), 1U);  // All is there.
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
            EXPECT_TRUE(folders_.free({{"gb-a-1-1"}, ""}).ok());
            EXPECT_TRUE(submit(job()).ok());
            clock_.advance(1h);
        }
        EXPECT_EQ(state(), BatchState::Pending);
        EXPECT_EQ(arc_.jobs["a1"].whole.count("gridbridge.sh"), 0U) << cancelled;
    }
}

TEST_F(ArcHostile, WhatWasFetchedIsNotFetchedAgain) {
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

TEST_F(ArcHostile, WhatAJobLeavesHasAnEnd) {
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

    // The log has taken some of it.
    EXPECT_EQ(collect().value(), CollectOutcome::Never);

    EXPECT_EQ(output("status").size(), 4097U);
    EXPECT_EQ(output("batch.log").size(), 256U << 10U);
    EXPECT_EQ(output("log"), "a log");
    EXPECT_EQ(std::filesystem::file_size(out / "artifacts"), 0U);
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_[0], HasSubstr("more than 32 GiB: artifacts"));
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

TEST_F(ArcHostile, HalfAnAnswerIsNeitherANameNorAnEnd) {
    arc_.jobs["a1"] = {"FAILED", "gb-a-1-1"};
    arc_.jobs["a1"].failed = "LRMS error: (3) Job finished with wrong exit code - 3 != 0";
    says("POST ?action=info", FakeArc::json(201, R"({"job":[]})"));
    for (const char* half : {"", "globalid=a1\n", "jobname=gb-a-1-1\n", "jobname=\nstarttime=2"}) {
        says("GET /a1/diagnose/local", {200, {{"Content-Type", "text/plain"}}, half, {}});
        EXPECT_FALSE(find().ok()) << half;
        EXPECT_EQ(state(), BatchState::Unknown) << half;
    }
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

}  // namespace
}  // namespace gridbridge
