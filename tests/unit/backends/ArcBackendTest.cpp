#include <gmock/gmock.h>

#include "backends/arc/ArcBackend.h"
#include "bridge/base/Process.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using testing::FakeClock;
using ::testing::HasSubstr;
using testing::ScriptedTransport;
using testing::Servers;
using testing::TempDir;

constexpr const char* kLocal = "jobname=gb-a-1-1\nstarttime=20261201002931Z\n";

/// A backend whose ARC answers what a test says, in that order.
class ArcBackendTest : public ::testing::Test {
protected:
    ArcBackendTest() { make({.url = "https://ce/arex"}); }
    void make(const ArcConfig& config) {
        backend_ = std::make_unique<ArcBackend>(
            config, std::make_unique<ScriptedTransport>(servers_, "https://ce/arex"), folders_,
            runner_, clock_, [](const std::string&) {});
    }
    BatchJob job() const {
        BatchJob made;
        made.key = {"gb-a-1-1"};
        made.loader = "true\n";
        made.inputs = {{"job.sh", "echo"}};
        made.deadline = clock_.wallNow() + std::chrono::hours(1);
        return made;
    }
    Result<Submission> submit() {
        const std::vector<BatchJob> jobs{job()};
        return backend_->submit(ctx(), jobs).front();
    }
    Result<std::vector<FoundJob>> find() { return backend_->find(ctx(), std::vector{ref("")}); }
    Observation observe() { return backend_->observe(ctx(), std::vector{ref("a1")}).value()[0]; }
    static JobRef ref(const std::string& id) { return {{"gb-a-1-1"}, "", {id}, {}}; }
    void answer(int status, const std::string& body = {}) {
        const char* const type = body.find('<') == 0 ? "text/html" : "application/json";
        servers_.answers.emplace_back(http::Response{status, {{"Content-Type", type}}, body, {}});
    }
    void part(const std::string& range, const std::string& body) {
        servers_.answers.emplace_back(http::Response{206, {{"Content-Range", range}}, body, {}});
    }
    /// A list of no job, and who says so knows whom there is not.
    void none() {
        answer(200, R"({"job":[]})");
        answer(201, R"({"job":{"status-code":"404","reason":"Job not found","id":"gridbridge"}})");
    }
    void fails(const Error& error) { servers_.answers.emplace_back(error); }
    /// A list with the one job, and whose it is.
    void knows(const std::string& state, const std::string& local) {
        answer(200, R"({"job":{"id":"a1","state":")" + state + "\"}}");
        answer(201, R"({"job":{"status-code":"200","id":"a1","info_document":)"
                    R"({"ComputingActivity":{"Name":"gb-a-1-1"}}}})");
        answer(200, local);
    }
    void takesFiles() {
        for (int i = 0; i < 3; ++i) {  // loader.sh, job.sh, gridbridge.sh
            answer(200);
        }
    }
    void accepts() {
        none();
        answer(201, R"({"job":{"status-code":"201","id":"a1","state":"ACCEPTING"}})");
    }
    std::vector<std::string> asked() const {
        std::vector<std::string> all;
        for (const auto& [url, request] : servers_.asked) {
            all.push_back(request.method + " " + request.path);
        }
        return all;
    }
    CallContext ctx() const { return {.deadline = clock_.steadyNow() + std::chrono::seconds(30)}; }

    TempDir temp_;
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    PosixProcessRunner runner_{clock_};
    Servers servers_;
    std::unique_ptr<ArcBackend> backend_;
};

TEST_F(ArcBackendTest, ItsProgramIsTheLastFileForWithItTheJobMayStart) {
    accepts();
    takesFiles();

    ASSERT_TRUE(submit().ok());

    EXPECT_EQ(asked().back(), "PUT /rest/1.0/jobs/a1/session/gridbridge.sh");
    EXPECT_EQ(servers_.asked.size(), 6U);
    EXPECT_TRUE(servers_.answers.empty());
}

TEST_F(ArcBackendTest, AConnectionThatIsNotMadeIsTriedAgainAndIsNoUncertainty) {
    none();
    fails(transientError("the handshake failed"));
    answer(201, R"({"job":{"status-code":"201","id":"a1","state":"ACCEPTING"}})");
    takesFiles();

    EXPECT_TRUE(submit().ok());
}

TEST_F(ArcBackendTest, ASubmissionThatWasSentIsNotSentAgain) {
    none();
    fails(uncertainError("no answer came"));

    EXPECT_EQ(submit().error().kind, ErrorKind::Uncertain);

    EXPECT_EQ(servers_.asked.size(), 3U);
}

TEST_F(ArcBackendTest, EachAnswerToASubmissionThatSaysNothingIsDoubtful) {
    for (const auto& [status, body] :
         std::vector<std::pair<int, std::string>>{{201, "<html>"},
                                                  {201, R"({"job":[{"status-code)"},
                                                  {201, ""},
                                                  {201, R"({"job":[]})"},
                                                  {502, "<html>"},
                                                  {504, ""},
                                                  {500, ""}}) {
        none();
        answer(status, body);
        const auto result = submit();
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().kind, ErrorKind::Uncertain) << status << body;
        EXPECT_FALSE(result.error().message.empty());
    }
}

TEST_F(ArcBackendTest, OfTwoWithOneKeyTheOneThatMayStartLives) {
    accepts();
    takesFiles();
    ASSERT_TRUE(submit().ok());
    answer(200, R"({"job":[{"id":"a0","state":"PREPARING"},{"id":"a1","state":"RUNNING"}]})");
    answer(201, R"({"job":[{"id":"a0","status-code":"200","info_document":{"ComputingActivity":)"
                R"({"Name":"gb-a-1-1"}}},{"id":"a1","status-code":"200","info_document":)"
                R"({"ComputingActivity":{"Name":"gb-a-1-1"}}}]})");
    answer(200, kLocal);
    answer(404);
    answer(200, kLocal);
    answer(201, R"({"job":{"id":"a0","status-code":"202"}})");
    answer(201, R"({"job":{"id":"a0","status-code":"202"}})");

    const auto found = find();

    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().id.value, "a1");
    const auto size = servers_.asked.size();
    EXPECT_EQ(servers_.asked[size - 2].second.body, R"({"job":[{"id":"a0"}]})");
    EXPECT_EQ(servers_.asked[size - 2].second.path, "/rest/1.0/jobs?action=kill");
    EXPECT_EQ(servers_.asked[size - 1].second.path, "/rest/1.0/jobs?action=clean");
}

TEST_F(ArcBackendTest, WhoIsNotLetInHasSomethingToChange) {
    for (const int status : {401, 403, 404}) {
        answer(status);
        const auto probed = backend_->probe(ctx());
        ASSERT_FALSE(probed.ok());
        EXPECT_EQ(probed.error().kind, ErrorKind::Transient);
        EXPECT_TRUE(probed.error().misconfigured) << probed.error().message;
    }
    answer(200, "<html>portal</html>");
    EXPECT_THAT(backend_->probe(ctx()).error().message,
                HasSubstr("is a page for people, no JSON: see `url`"));
    answer(200, R"({"job":[{"id":"a)");
    EXPECT_THAT(backend_->probe(ctx()).error().message, HasSubstr("is cut short"));
    answer(503);
    EXPECT_FALSE(backend_->probe(ctx()).error().misconfigured);
}

TEST_F(ArcBackendTest, ATokenIsReadForEachCallAndOnlyFromAFileThatOthersCannotRead) {
    const auto file = temp_.path() / "token";
    make({.url = "https://ce/arex", .tokenFile = file});
    EXPECT_THAT(backend_->probe(ctx()).error().message, HasSubstr("`token_file` names cannot be"));
    std::vector<std::string> sent;
    for (const char* token : {"first", "second"}) {
        std::ofstream(file) << token << "\n";
        std::filesystem::permissions(file, std::filesystem::perms(0600));
        none();
        EXPECT_TRUE(backend_->probe(ctx()).ok());
        for (const auto& [name, value] : servers_.asked.back().second.headers) {
            if (name == "Authorization") {
                sent.push_back(value);
            }
        }
    }
    EXPECT_EQ(sent, (std::vector<std::string>{"Bearer first", "Bearer second"}));
    std::filesystem::permissions(file, std::filesystem::perms(0604));
    const auto open = backend_->probe(ctx());
    EXPECT_THAT(open.error().message, HasSubstr("can be read by every account"));
    EXPECT_TRUE(open.error().misconfigured);
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    std::ofstream(file) << "two\nlines";
    EXPECT_THAT(backend_->probe(ctx()).error().message, HasSubstr("holds no bearer token"));
    std::ofstream(file) << std::string((std::size_t{16} << 10U) + 1, 'x');
    EXPECT_THAT(backend_->probe(ctx()).error().message, HasSubstr("is larger than 16384 bytes"));
}

TEST_F(ArcBackendTest, AnEndOfWhichArcSaysNothingYetIsNotKnown) {
    answer(200, R"({"job":{"id":"a1","state":"FAILED"}})");
    answer(404);
    answer(404);
    answer(404);

    const auto seen = observe();

    EXPECT_EQ(seen.state, BatchState::Unknown);
    EXPECT_THAT(seen.reason, HasSubstr("does not say how"));
}

TEST_F(ArcBackendTest, NothingNewInALogIsNoErrorAndOtherBytesAreNone) {
    const std::vector<LogRequest> requests{{ref("a1"), 1, 5, 100}};
    const auto read = [&] { return std::move(backend_->readLogs(ctx(), requests)[0]); };
    const auto ends = [&](const char* range) {
        servers_.answers.emplace_back(http::Response{416, {{"Content-Range", range}}, {}, {}});
    };
    ends("bytes */5");
    EXPECT_EQ(read()->size, 5);
    ends("bytes */*");  // It is shorter.
    part("bytes 0-0/3", "x");
    const auto shorter = read();
    EXPECT_EQ(shorter->bytes, "");
    EXPECT_EQ(shorter->size, 3);
    ends("bytes */*");
    answer(404);
    EXPECT_FALSE(read()->size.has_value());
    answer(404);
    EXPECT_EQ(read()->bytes, "");
    part("bytes 5-8/9", "more");
    EXPECT_EQ(read()->bytes, "more");
    EXPECT_EQ(servers_.asked.back().second.headers[0].second, "bytes=5-104");
    servers_.answers.emplace_back(http::Response{200, {}, "once more", {}});  // From its beginning.
    EXPECT_EQ(read()->bytes, "more");
    for (const char* range : {"bytes 0-3/9", "bytes */9", ""}) {
        part(range, "less");
        EXPECT_FALSE(read().ok()) << range;
    }
    answer(200, "<html>portal</html>");
    EXPECT_FALSE(read().ok());
}

TEST_F(ArcBackendTest, ALargeFileGoesInPieces) {
    auto large = job();
    const std::size_t size = (std::size_t{8} << 20U) + 5;
    large.inputs = {{"job.sh", std::string(size, 'x')}};
    accepts();
    takesFiles();
    answer(200);

    ASSERT_TRUE(backend_->submit(ctx(), std::vector{large})[0].ok());

    std::vector<std::string> ranges;
    for (const auto& [url, request] : servers_.asked) {
        if (request.method == "PUT" && request.headers[0].first == "Content-Range") {
            ranges.push_back(request.headers[0].second);
        }
    }
    EXPECT_EQ(ranges, (std::vector<std::string>{"bytes 0-8388607/8388613",
                                                "bytes 8388608-8388612/8388613"}));
}

TEST_F(ArcBackendTest, ARefusalOfAQueueIsFinalAndWhatMayPassIsNot) {
    none();
    answer(201, R"({"job":{"status-code":"500","reason":"Requested queue x is not allowed"}})");
    const auto refused = submit();
    EXPECT_EQ(refused.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("gb-a-1-1: Requested queue x is not allowed"));
    none();
    answer(201, R"({"job":{"status-code":"500","reason":"Failed to create job"}})");
    EXPECT_EQ(submit().error().kind, ErrorKind::Transient);
    none();
    answer(201, R"({"job":{"status-code":"500","reason":"the queue is not well"}})");
    EXPECT_EQ(submit().error().kind, ErrorKind::Transient);
}

}  // namespace
}  // namespace gridbridge
