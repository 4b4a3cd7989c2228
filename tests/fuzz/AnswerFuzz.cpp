#include <algorithm>
#include <charconv>
#include <utility>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/JsonFields.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/gitlab/RunnerJson.h"
#include "bridge/gitlab/TokenApi.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fuzz/Fuzz.h"

// Input: the status, header lines, an empty line, the body; the answer to every call.

namespace gridbridge::fuzz {
namespace {

using gitlab::CallOutcome;
using gitlab::JobAnswer;
using std::chrono::seconds;

const std::string kToken = "glrt-secret";

class OneAnswer final : public http::Transport {
public:
    explicit OneAnswer(http::Response response) : response_(std::move(response)) {}
    Result<http::Response> send(const CallContext&, const http::Request& request) override {
        auto answer = response_;
        if (request.sink && answer.status / 100 == 2) {
            request.sink->write(std::exchange(answer.body, {}));
        }
        return answer;
    }
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string&) const override {
        return std::unique_ptr<http::Transport>(std::make_unique<OneAnswer>(response_));
    }

private:
    const http::Response response_;
    const std::string url_ = "https://git.example.org";
};

void requireLine(const std::string& line, bool isSaid) {
    require(line.empty() != isSaid, "exactly what did not go well is told");
    require(line.find(kToken) == std::string::npos, "no line shows the token");
    require(line.size() < 1000, "a line is short");
    for (const char c : line) {
        require((c < 0 || c >= ' ') && c != '\x7f', "a line has no control characters");
    }
}

void requireWait(const std::optional<seconds>& wait, seconds most) {
    require(!wait || (*wait > seconds(0) && *wait <= most), "a wait is bounded");
}

void tryFields(const http::Response& response) {
    requireWait(gitlab::retryAfter(response, fromEpoch(seconds(1'700'000'000))),
                std::chrono::hours(1));
    try {
        gitlab::tokenExpiresAt(gitlab::JsonFields::parse(response.body));
    } catch (const gitlab::UnreadableField& error) {
        require(isPlain(error.what()), "an error holds nothing of the body");
    }
}

void check(const JobAnswer& answer) {
    const bool deferred = answer.outcome == CallOutcome::Deferred;
    requireLine(answer.message, answer.outcome != CallOutcome::Done && !deferred);
    requireWait(answer.retryAfter, std::chrono::hours(1));
    requireWait(answer.updateInterval, std::chrono::minutes(15));
    require(!deferred || answer.retryAfter, "what is deferred has its time");
    require(answer.serverSize.value_or(0) >= 0, "a size is one");
    require(answer.serverStatus.size() <= 32 && isPlain(answer.serverStatus), "a status is a word");
    require(answer.outcome != CallOutcome::Ended || answer.status == gitlab::JobStatus::Gone,
            "what has ended is gone");
}

void tryJobCalls(gitlab::RunnerApi& api) {
    const gitlab::JobCredentials job{.id = 1, .token = Secret(kToken)};
    check(api.keepAlive({}, job));
    check(api.finish({}, job, {.success = true}));
    const auto uploaded = api.uploadArtifact(
        {}, job,
        {.content = [](const Sink& sink) { return sink("x"), Result<void>(); }, .filename = "x"});
    check(uploaded);
    const auto traced = api.appendTrace({}, job, 5, "bytes", false);
    check(traced);
    const bool sized =
        traced.outcome == CallOutcome::Done || traced.outcome == CallOutcome::Mismatch;
    require(!sized || traced.serverSize, "what was stored of a trace is known");
}

void tryDownload(gitlab::RunnerApi& api, const http::Response& response) {
    std::string got;
    const auto answer = api.downloadArtifact(
        {}, {.id = 1, .token = Secret(kToken)},
        {.sink = [&got](std::string_view piece) { return got += piece, true; }});
    const bool done = answer.outcome == gitlab::DownloadOutcome::Done;
    requireLine(answer.message, !done);
    requireWait(answer.retryAfter, std::chrono::hours(1));
    require(!done || got == response.body, "an archive is whole");
}

void tryRunnerCalls(gitlab::RunnerApi& api) {
    const gitlab::RunnerIdentity runner{
        .token = Secret(kToken), .systemId = "s_0123456789ab", .features = {}, .executor = "x"};
    const auto verified = api.verify({}, runner);
    requireLine(verified.message, verified.outcome != gitlab::VerifyOutcome::Valid);
    require(verified.runnerId >= 0, "an id is one");
    const auto claimed = api.requestJob({}, runner, "");
    const bool quiet = claimed.outcome == gitlab::ClaimOutcome::Job ||
                       claimed.outcome == gitlab::ClaimOutcome::NoJob;
    requireLine(claimed.message, !quiet);
    requireWait(claimed.retryAfter, std::chrono::hours(1));
    require(claimed.lastUpdate.size() <= 128 && isPlain(claimed.lastUpdate), "a value is a word");
}

void tryTokenCalls(http::Transport& transport) {
    gitlab::HttpTokenApi api(transport);
    for (const auto& made :
         {api.registerRunner({}, Secret(kToken), {}), api.resetToken({}, Secret(kToken))}) {
        requireLine(made.message, made.outcome != gitlab::TokenOutcome::Done);
        require(made.outcome != gitlab::TokenOutcome::Done || !made.token.empty(),
                "who makes a token has it");
    }
    for (const auto& removed : {api.removeManager({}, Secret(kToken), "s_0123456789ab"),
                                api.removeRunner({}, Secret(kToken))}) {
        requireLine(removed.message, removed.outcome != gitlab::TokenOutcome::Done);
    }
}

}  // namespace

void tryWith(std::string_view input) {
    http::Response response;
    const auto status = take(input, '\n');
    std::from_chars(status.data(), status.data() + status.size(), response.status);
    for (auto line = take(input, '\n'); !line.empty(); line = take(input, '\n')) {
        const auto name = take(line, ':');
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        response.headers.emplace_back(name, line);
    }
    response.body = input;
    tryFields(response);

    OneAnswer transport(response);
    const testing::FakeClock clock;
    gitlab::HttpRunnerApi api(transport, clock);
    tryJobCalls(api);
    tryDownload(api, response);
    tryRunnerCalls(api);
    tryTokenCalls(transport);
}

}  // namespace gridbridge::fuzz
