#include <future>
#include <latch>

#include "tests/fakes/FakeClock.h"
#include "tests/unit/http/TransportTest.h"

namespace gridbridge::http {
namespace {

using ConnectionTest = TransportTest;

TEST_F(ConnectionTest, ConnectionIsKeptForTheNextRequest) {
    serve({answering("ok", 3)});

    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(get("/x").ok());
    }
    EXPECT_EQ(server->connections(), 1U);
}

TEST_F(ConnectionTest, RequestThatMustNotBeLostGetsItsOwnConnection) {
    serve({answering("first", 2), answering("second")});
    ASSERT_EQ(get("/1")->body, "first");

    EXPECT_EQ(send({.method = "POST", .path = "/2", .newConnection = true})->body, "second");
}

TEST_F(ConnectionTest, ConnectionClosedByTheServerIsNotReused) {
    std::latch closed(1);
    serve({[&closed](Peer& peer) {
               peer.readRequest();
               peer.answer("first");
               peer.close();
               closed.count_down();
           },
           answering("second")});
    ASSERT_EQ(get("/1")->body, "first");
    closed.wait();

    const auto answer = send({.method = "POST", .path = "/2", .body = "x"});

    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->body, "second");
}

TEST_F(ConnectionTest, ConnectionThatSaidMoreThanAskedIsNotReused) {
    std::latch sent(1);
    serve({[&sent](Peer& peer) {
               peer.readRequest();
               peer.answer("first");
               peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
               sent.count_down();
               peer.clientCloses();
           },
           answering("second")});
    ASSERT_EQ(get("/1")->body, "first");
    sent.wait();

    EXPECT_EQ(get("/2")->body, "second");
}

TEST_F(ConnectionTest, ConnectionIdleForSecondsIsNotReused) {
    testing::FakeClock fake;
    serve({answering("first", 2), answering("second")});
    PocoTransport patient(server->url(), fake, "tester/1");
    const auto call = [&] {
        return patient.send({.deadline = fake.steadyNow() + std::chrono::hours(1)},
                            {.method = "GET", .path = "/x"});
    };
    ASSERT_EQ(call()->body, "first");
    fake.advance(std::chrono::seconds(1));
    ASSERT_EQ(call()->body, "first");

    fake.advance(std::chrono::seconds(5));

    EXPECT_EQ(call()->body, "second");
}

TEST_F(ConnectionTest, NobodyListeningIsTransient) {
    std::string url;
    {
        ScriptedServer gone({});
        url = gone.url();
    }
    transport = std::make_unique<PocoTransport>(url, clock, "tester/1");

    expectError(get("/x"), ErrorKind::Transient, "refused");
}

TEST_F(ConnectionTest, UnknownHostIsTransient) {
    transport = std::make_unique<PocoTransport>("http://gitlab.invalid", clock, "tester/1");

    expectError(get("/x"), ErrorKind::Transient, "gitlab.invalid");
}

TEST_F(ConnectionTest, DeadlineEndsTheWaitForASilentServer) {
    serve({[](Peer& peer) {
        peer.readRequest();
        peer.clientCloses();
    }});
    const auto start = clock.steadyNow();

    const auto answer =
        transport->send(within(std::chrono::milliseconds(300)), {.method = "GET", .path = "/x"});

    expectError(answer, ErrorKind::Uncertain, "no whole answer in the time allowed");
    EXPECT_LT(clock.steadyNow() - start, std::chrono::seconds(10));
}

TEST_F(ConnectionTest, DeadlineEndsAnAnswerThatComesInDrops) {
    serve({[](Peer& peer) {
               peer.readRequest();
               peer.trickle("HTTP/1.1 200 OK\r\nX-Long: " + std::string(4000, 'x'));
           },
           [](Peer& peer) {
               peer.readRequest();
               peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
               peer.trickle("x");
           },
           [](Peer& peer) {
               peer.readRequest();
               peer.trickle("HTTP/1.1 100 Continue\r\n\r\n");
           }});
    for (const auto* path : {"/header", "/body", "/continue"}) {
        SCOPED_TRACE(path);
        expectError(transport->send(within(std::chrono::milliseconds(300)),
                                    {.method = "GET", .path = path}),
                    ErrorKind::Uncertain, "in the time allowed");
    }
}

TEST_F(ConnectionTest, ServerThatReadsNothingMakesALongRequestTransientAtTheDeadline) {
    std::promise<void> over;
    serve({[wait = over.get_future().share()](Peer&) { wait.wait(); }});

    const auto answer = transport->send(
        within(std::chrono::milliseconds(500)),
        {.method = "POST", .path = "/x", .body = std::string(std::size_t{64} << 20U, 'x')});

    over.set_value();
    expectError(answer, ErrorKind::Transient, "not sent in the time allowed");
}

TEST_F(ConnectionTest, StopEndsTheWait) {
    std::latch asked(1);
    serve({[&asked](Peer& peer) {
        peer.readRequest();
        asked.count_down();
        peer.clientCloses();
    }});
    std::stop_source stop;
    const auto start = clock.steadyNow();
    auto answer = std::async(std::launch::async, [&] {
        return transport->send({clock.steadyNow() + std::chrono::hours(1), stop.get_token()},
                               {.method = "POST", .path = "/x"});
    });
    asked.wait();

    stop.request_stop();

    expectError(answer.get(), ErrorKind::Uncertain, "stopped");
    EXPECT_LT(clock.steadyNow() - start, std::chrono::seconds(10));
}

TEST_F(ConnectionTest, StopLeavesAnAnswerThatMayBeOnItsWayItsTime) {
    std::latch asked(1);
    std::latch stopped(1);
    serve({[&](Peer& peer) {
        peer.readRequest();
        asked.count_down();
        stopped.wait();
        // Longer than the client waits before it looks whether it shall stop.
        EXPECT_FALSE(peer.clientCloses(Poco::Timespan(500000)));
        peer.answer("a job");
        peer.clientCloses();
    }});
    std::stop_source stop;
    auto answer = std::async(std::launch::async, [&] {
        const auto now = clock.steadyNow();
        return transport->send({.deadline = now + std::chrono::hours(1),
                                .stop = stop.get_token(),
                                .stopNotBefore = now + std::chrono::seconds(20)},
                               {.method = "POST", .path = "/x"});
    });
    asked.wait();

    stop.request_stop();
    stopped.count_down();

    EXPECT_EQ(answer.get()->body, "a job");
}

TEST_F(ConnectionTest, CallWhoseTimeIsOverSendsNothing) {
    serve({answering("no")});
    std::stop_source stop;
    stop.request_stop();

    expectError(transport->send(within(Millis(0)), {.method = "GET", .path = "/x"}),
                ErrorKind::Transient, "time allowed");
    const auto later = clock.steadyNow() + std::chrono::hours(1);
    expectError(transport->send({later, stop.get_token(), later}, {.method = "GET", .path = "/x"}),
                ErrorKind::Transient, "stopped");
    EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ConnectionTest, ManyThreadsShareOneTransport) {
    constexpr int kThreads = 8;
    serve(std::vector<ScriptedServer::Script>(kThreads, answering("ok", 4 * kThreads)));
    std::vector<std::future<bool>> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.push_back(std::async(std::launch::async, [this] {
            for (int call = 0; call < 4; ++call) {
                const auto answer = get("/x");
                if (!answer.ok() || answer->body != "ok") {
                    return false;
                }
            }
            return true;
        }));
    }
    for (auto& each : threads) {
        EXPECT_TRUE(each.get());
    }
    EXPECT_LE(server->connections(), std::size_t{kThreads});
}

}  // namespace
}  // namespace gridbridge::http
