#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "bridge/gitlab/Crc32.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/http/PocoTransport.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakes/FakeClock.h"

namespace gridbridge::gitlab {

/// The real client over real HTTP to the stand-in GitLab, on a clock that stands still. Whatever
/// a test does, the client must not break the protocol.
class RunnerApiHttp : public ::testing::Test {
protected:
    void start(fakegitlab::Options options = {}) {
        server.emplace(clock, std::move(options));
        server->addRunner("glrt-hidden");
        transport = std::make_unique<http::PocoTransport>(server->url(), clock, userAgent());
        api = std::make_unique<HttpRunnerApi>(*transport, clock);
    }
    void TearDown() override {
        EXPECT_THAT(server->violations(), ::testing::IsEmpty());
        for (const auto& message : messages) {
            EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("hidden")));
            EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("glcbt-")));
        }
    }

    CallContext context() const { return {.deadline = clock.steadyNow() + std::chrono::hours(1)}; }
    ClaimAnswer claim(const std::string& lastUpdate = {}) {
        auto answer = api->requestJob(context(), runner, lastUpdate);
        messages.push_back(answer.message);
        return answer;
    }
    /// A job that is claimed and acknowledged.
    JobCredentials running(fakegitlab::JobSpec spec = {}) {
        const auto id = server->addJob(std::move(spec));
        const auto answer = claim();
        EXPECT_EQ(answer.outcome, ClaimOutcome::Job) << answer.message;
        const auto job = decodeJob(answer.body);
        EXPECT_TRUE(job.ok()) << job.error().message;
        EXPECT_EQ(job->id, id);
        JobCredentials credentials{.id = job->id, .token = job->token};
        EXPECT_EQ(keepAlive(credentials).outcome, CallOutcome::Done);
        return credentials;
    }
    JobAnswer keepAlive(const JobCredentials& job) { return noted(api->keepAlive(context(), job)); }
    JobAnswer append(const JobCredentials& job, std::int64_t offset, std::string_view bytes) {
        return noted(api->appendTrace(context(), job, offset, bytes, false));
    }
    JobAnswer finish(const JobCredentials& job, FinalReport report) {
        return noted(api->finish(context(), job, report));
    }
    static FinalReport success(std::string_view trace) {
        return {.success = true, .traceEnd = endOf(trace)};
    }
    static FinalReport failure(std::string_view trace, int exitCode) {
        return {.success = false,
                .failureReason = "script_failure",
                .exitCode = exitCode,
                .traceEnd = endOf(trace)};
    }
    static TraceEnd endOf(std::string_view trace) {
        return {.crc32 = crc32(0, trace), .bytes = static_cast<std::int64_t>(trace.size())};
    }
    JobAnswer noted(JobAnswer answer) {
        messages.push_back(answer.message);
        return answer;
    }

    gridbridge::testing::FakeClock clock;
    std::optional<fakegitlab::FakeGitLab> server;
    std::unique_ptr<http::PocoTransport> transport;
    std::unique_ptr<HttpRunnerApi> api;
    RunnerIdentity runner{.token = Secret("glrt-hidden"),
                          .systemId = "s_0123456789ab",
                          .features = {"refspecs", "cancel_gracefully", "return_exit_code"},
                          .executor = "local"};
    std::vector<std::string> messages;
};

}  // namespace gridbridge::gitlab
