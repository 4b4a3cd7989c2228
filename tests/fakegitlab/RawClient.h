#pragma once

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/StreamCopier.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakes/FakeClock.h"

namespace gridbridge::fakegitlab {

struct RawAnswer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;

    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? "" : found->second;
    }
    Poco::JSON::Object::Ptr json() const {
        return Poco::JSON::Parser().parse(body).extract<Poco::JSON::Object::Ptr>();
    }
};

/// A stand-in GitLab with a fake clock, one runner `glrt-test`, and plain HTTP calls to it: what
/// is proven here owes nothing to the project's own client.
class RawHttp : public ::testing::Test {
protected:
    void TearDown() override {
        // What a plain call breaks, it breaks on purpose: the table of answers need not tell.
        if (server) {
            server->violations();
        }
    }
    using Headers = std::map<std::string, std::string>;

    void start(Options options = {}) {
        server.emplace(clock, std::move(options));
        server->addRunner("glrt-test");
    }

    /// nullopt = the connection closed without a whole answer.
    std::optional<RawAnswer> send(const std::string& method, const std::string& path,
                                  const Headers& headers, const std::string& body) {
        return sendTo(server->port(), method, "/api/v4/" + path, headers, body);
    }
    std::optional<RawAnswer> sendTo(std::uint16_t port, const std::string& method,
                                    const std::string& target, const Headers& headers,
                                    const std::string& body) {
        Poco::Net::HTTPClientSession session("127.0.0.1", port);
        session.setTimeout(Poco::Timespan(20, 0));
        Poco::Net::HTTPRequest request(method, target, Poco::Net::HTTPRequest::HTTP_1_1);
        request.setContentLength64(static_cast<Poco::Int64>(body.size()));
        for (const auto& [name, value] : headers) {
            request.set(name, value);
        }
        try {
            session.sendRequest(request) << body;
            return received(session);
        } catch (const Poco::Exception&) {
            return std::nullopt;
        }
    }
    static RawAnswer received(Poco::Net::HTTPClientSession& session) {
        Poco::Net::HTTPResponse response;
        auto& in = session.receiveResponse(response);
        RawAnswer answer;
        answer.status = static_cast<int>(response.getStatus());
        Poco::StreamCopier::copyToString(in, answer.body);
        for (const auto& [name, value] : response) {
            answer.headers[name] = value;
        }
        return answer;
    }
    RawAnswer call(const std::string& method, const std::string& path, const Headers& headers,
                   const std::string& body) {
        auto answer = send(method, path, headers, body);
        EXPECT_TRUE(answer.has_value()) << method << " " << path << " got no answer";
        return answer.value_or(RawAnswer{});
    }
    RawAnswer json(const std::string& method, const std::string& path, const std::string& body) {
        return call(method, path, {{"Content-Type", "application/json"}}, body);
    }

    static std::string claimBody(const std::string& more = "") {
        return R"({"token":"glrt-test","system_id":"s_0123456789ab","info":{"features":)"
               R"({"cancel_gracefully":true,"refspecs":true}})" +
               more + "}";
    }
    RawAnswer claim(const std::string& more = "") {
        return json("POST", "jobs/request", claimBody(more));
    }
    RawAnswer put(JobId id, const std::string& fields) {
        return json("PUT", "jobs/" + std::to_string(id),
                    R"({"token":")" + server->job(id).token + "\"," + fields + "}");
    }
    RawAnswer patch(JobId id, const std::string& range, const std::string& body) {
        return call("PATCH", "jobs/" + std::to_string(id) + "/trace",
                    {{"Content-Type", "text/plain"},
                     {"JOB-TOKEN", server->job(id).token},
                     {"Content-Range", range}},
                    body);
    }
    /// A job that is claimed and acknowledged.
    JobId running(JobSpec spec = {}) {
        const auto id = server->addJob(std::move(spec));
        EXPECT_EQ(claim().status, 201);
        EXPECT_EQ(put(id, R"("state":"running")").status, 200);
        return id;
    }
    bool violated(const std::string& text) const {
        for (const auto& violation : server->violations()) {
            if (violation.find(text) != std::string::npos) {
                return true;
            }
        }
        return false;
    }

    gridbridge::testing::FakeClock clock;
    std::optional<FakeGitLab> server;
};

}  // namespace gridbridge::fakegitlab
