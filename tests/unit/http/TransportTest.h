#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "bridge/http/PocoTransport.h"
#include "tests/unit/http/ScriptedServer.h"

namespace gridbridge::http {

/// A scripted server and a transport to it, on the machine's clock.
class TransportTest : public ::testing::Test {
protected:
    void serve(std::vector<ScriptedServer::Script> scripts) {
        server = std::make_unique<ScriptedServer>(std::move(scripts));
        transport = std::make_unique<PocoTransport>(server->url(), clock, "tester/1");
    }
    CallContext within(Millis time) { return {.deadline = clock.steadyNow() + time}; }
    Result<Response> send(const Request& request) {
        return transport->send(within(std::chrono::seconds(20)), request);
    }
    Result<Response> get(const std::string& path) { return send({.method = "GET", .path = path}); }
    static ScriptedServer::Script answering(std::string body, int times = 1) {
        return [body = std::move(body), times](Peer& peer) {
            for (int i = 0; i < times; ++i) {
                peer.readRequest();
                peer.answer(body);
            }
            peer.clientCloses();
        };
    }
    static void expectError(const Result<Response>& result, ErrorKind kind,
                            const std::string& text) {
        ASSERT_FALSE(result.ok()) << "answered with " << result->status;
        EXPECT_EQ(result.error().kind, kind) << result.error().message;
        EXPECT_NE(result.error().message.find(text), std::string::npos) << result.error().message;
    }

    SystemClock clock;
    std::unique_ptr<ScriptedServer> server;
    std::unique_ptr<PocoTransport> transport;  // Closes its connections before the server stops.
};

}  // namespace gridbridge::http
