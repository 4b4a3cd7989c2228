#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "bridge/gitlab/Runner.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::gitlab {

/// A file that the Python package wrote.
inline std::string fixture(const std::string& name) {
    return testing::readFile(std::filesystem::path(BRIDGE_SOURCE_DIR) /
                             "tests/fixtures/gitlab_runner_api" / name);
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// What a call threw, or that it threw nothing of that kind.
template <typename Error, typename Call>
std::string thrown(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    } catch (const std::exception& other) {
        return std::string("something else: ") + other.what();
    }
    return "nothing";
}

/// The library over real HTTP against the stand-in GitLab, on a clock that moves only when it is
/// waited for. Whatever a test does, the library must not break the protocol.
class Library : public ::testing::Test {
protected:
    void start(fakegitlab::Options options = {}) {
        server.emplace(clock, std::move(options));
        server->addRunner(kToken);
    }
    void TearDown() override {
        if (server) {
            EXPECT_THAT(server->violations(), ::testing::IsEmpty());
        }
    }
    ClientOptions options() { return {.clock = &clock}; }
    /// The runner of the fixture, at the stand-in.
    Runner runner() { return Runner::loads(Secret(here(fixture("runner.json"))), options()); }
    std::string here(const std::string& text) const {
        return replaced(text, "https://gitlab.example.org", server->url());
    }
    Job claim(fakegitlab::JobSpec spec = {}) {
        server->addJob(std::move(spec));
        auto from = runner();
        auto job = from.requestJob();
        if (!job) {
            throw std::runtime_error("no job");
        }
        return std::move(*job);
    }
    /// A job's file of the Python package as if the stand-in had handed that job out, and this
    /// much of its log had arrived.
    std::string dumpOf(const std::string& name, const std::string& arrived,
                       std::optional<fakegitlab::JobId>& id) {
        auto job = claim();
        id = job.id();
        HttpRunnerApi api(transport(), clock);
        if (!arrived.empty()) {
            const auto answer =
                api.appendTrace({.deadline = clock.steadyNow() + std::chrono::hours(1)},
                                {.id = job.id(), .token = job.token()}, 0, arrived, false);
            EXPECT_EQ(answer.outcome, CallOutcome::Done) << answer.message;
        }
        auto text = replaced(here(fixture(name)), "914207", std::to_string(job.id()));
        return replaced(text, "glcbt-fixtureJobToken", job.token().reveal());
    }
    http::Transport& transport() {
        transport_ = std::make_unique<http::PocoTransport>(server->url(), clock, userAgent());
        return *transport_;
    }

    static constexpr auto kToken = "glrtr-fixtureRunnerToken";
    gridbridge::testing::FakeClock clock;
    std::optional<fakegitlab::FakeGitLab> server;
    gridbridge::testing::TempDir folder;
    std::unique_ptr<http::PocoTransport> transport_;
};

}  // namespace gridbridge::gitlab
