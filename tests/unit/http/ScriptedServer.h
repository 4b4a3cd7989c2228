#pragma once

#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace gridbridge::http {

/// The server's side of one connection. Reads give up after 20 s.
class Peer {
public:
    explicit Peer(Poco::Net::StreamSocket socket) : socket_(std::move(socket)) {
        socket_.setReceiveTimeout(Poco::Timespan(20, 0));
        socket_.setSendTimeout(Poco::Timespan(20, 0));
    }

    /// Header and body (by Content-Length, or in chunks) of the next request; what came when the
    /// client closes.
    std::string readRequest() {
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos && receive(text)) {
        }
        const auto end = text.find("\r\n\r\n");
        const auto field = text.find("Content-Length: ");
        if (end != std::string::npos && field < end) {
            const auto wanted = end + 4 + std::stoul(text.substr(field + 16));
            while (text.size() < wanted && receive(text)) {
            }
        }
        if (text.find("Transfer-Encoding: chunked") < end) {
            while (!text.ends_with("\r\n0\r\n\r\n") && receive(text)) {
            }
        }
        return text;
    }
    /// What comes next, of any protocol.
    std::string readSome() {
        std::string text;
        receive(text);
        return text;
    }
    void send(const std::string& text) {
        for (std::size_t at = 0; at < text.size();) {
            at += static_cast<std::size_t>(
                socket_.sendBytes(text.data() + at, static_cast<int>(text.size() - at)));
        }
    }
    /// A whole answer that leaves the connection open.
    void answer(const std::string& body, const std::string& status = "200 OK",
                const std::string& headers = "") {
        send("HTTP/1.1 " + status + "\r\n" + headers +
             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    /// Sends `text` byte by byte until the client closes.
    void trickle(const std::string& text) {
        for (std::size_t i = 0; !clientCloses(Poco::Timespan(10000)); ++i) {
            send(text.substr(i % text.size(), 1));
        }
    }
    bool clientCloses(const Poco::Timespan& within = Poco::Timespan(20, 0)) {
        return socket_.poll(within, Poco::Net::Socket::SELECT_READ);
    }
    void close() { socket_.close(); }

private:
    bool receive(std::string& text) {
        char buffer[4096];
        const int got = socket_.receiveBytes(buffer, sizeof buffer);
        text.append(buffer, static_cast<std::size_t>(got > 0 ? got : 0));
        return got > 0;
    }

    Poco::Net::StreamSocket socket_;
};

/// A server on 127.0.0.1 that plays one script per connection, in the order of their arrival and
/// each in its own thread, and closes the connection when the script ends.
class ScriptedServer {
public:
    using Script = std::function<void(Peer&)>;

    explicit ScriptedServer(std::vector<Script> scripts)
        : ScriptedServer(std::move(scripts), Poco::Net::ServerSocket(loopback())) {}
    ScriptedServer(std::vector<Script> scripts, const Poco::Net::ServerSocket& socket)
        : scripts_(std::move(scripts)),
          socket_(socket),
          thread_([this](const std::stop_token& stop) { serve(stop); }) {}

    static Poco::Net::SocketAddress loopback() { return Poco::Net::SocketAddress("127.0.0.1", 0); }
    std::string url(const std::string& scheme = "http", const std::string& host = "127.0.0.1") {
        return scheme + "://" + host + ":" + std::to_string(socket_.address().port());
    }
    std::uint16_t port() const { return socket_.address().port(); }
    std::size_t connections() const { return connections_; }

private:
    void serve(const std::stop_token& stop) {
        // The last owner of a socket goes when its thread is over: how Poco counts owners is
        // invisible to ThreadSanitizer.
        std::vector<Poco::Net::StreamSocket> sockets;
        std::vector<std::jthread> peers;
        while (!stop.stop_requested()) {
            if (!socket_.poll(Poco::Timespan(20000), Poco::Net::Socket::SELECT_READ)) {
                continue;
            }
            const auto index = connections_++;
            auto& socket = sockets.emplace_back(socket_.acceptConnection());
            if (index < scripts_.size()) {
                peers.emplace_back([this, index, socket] { play(scripts_[index], socket); });
            }
        }
    }
    static void play(const Script& script, const Poco::Net::StreamSocket& socket) {
        try {
            Peer peer(socket);
            script(peer);
            peer.close();
        } catch (const Poco::Exception&) {
            // The client went away: what it saw is what the test looks at.
        }
    }

    std::vector<Script> scripts_;
    Poco::Net::ServerSocket socket_;
    std::atomic<std::size_t> connections_ = 0;
    std::jthread thread_;
};

}  // namespace gridbridge::http
