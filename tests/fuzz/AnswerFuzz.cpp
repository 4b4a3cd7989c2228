#include <charconv>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/JsonFields.h"
#include "bridge/gitlab/RunnerJson.h"
#include "tests/fuzz/Fuzz.h"

// Input: the status, header lines, an empty line, the body.

namespace gridbridge::fuzz {

namespace {

void tryTimes(const http::Response& response) {
    const auto now = fromEpoch(std::chrono::seconds(1'700'000'000));
    if (const auto wait = gitlab::retryAfter(response, now)) {
        require(wait->count() > 0 && *wait <= std::chrono::hours(1), "a wait is at most an hour");
    }
    try {
        gitlab::tokenExpiresAt(gitlab::JsonFields::parse(response.body));
    } catch (const gitlab::UnreadableField& error) {
        require(isPlain(error.what()), "an error holds nothing of the body");
    }
}

}  // namespace

void tryWith(std::string_view input) {
    http::Response response;
    const auto status = take(input, '\n');
    std::from_chars(status.data(), status.data() + status.size(), response.status);
    for (auto line = take(input, '\n'); !line.empty(); line = take(input, '\n')) {
        const auto name = take(line, ':');
        response.headers.emplace_back(name, line);
    }
    response.body = input;
    const Secret secret("glrt-secret");

    const auto line =
        gitlab::describe("https://git.example.org", {.method = "PUT", .path = "/api/v4/jobs/1?x=y"},
                         response, secret);

    require(line.find(secret.reveal()) == std::string::npos, "no line shows the token");
    require(line.size() < 1000, "a line is short");
    for (const char c : line) {
        require((c < 0 || c >= ' ') && c != '\x7f', "a line has no control characters");
    }
    tryTimes(response);
}

}  // namespace gridbridge::fuzz
