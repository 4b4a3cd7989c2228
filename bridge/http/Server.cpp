#include "bridge/http/Server.h"

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerConnection.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/ThreadPool.h>

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <utility>

#include "bridge/base/Fd.h"

namespace gridbridge::http {

namespace {

using Poco::Net::StreamSocket;

/// Who is connected, and until when: nothing else bounds the time of a client that sends one byte
/// now and then.
class Watch {
public:
    Watch(const ServerOptions& options, Clock& clock)
        : longest_(options.longest), mostOfOne_(options.fromOneAddress), clock_(clock) {}

    /// A number to remove it by; nothing: that address has enough of them.
    std::optional<std::uint64_t> add(int socket, const std::string& address) {
        const std::lock_guard lock(mutex_);
        int others = 0;
        for (const auto& [number, client] : clients_) {
            others += client.address == address ? 1 : 0;
        }
        // Poco closes its own descriptor before it says so, and the number may be another's then.
        Fd own(others < mostOfOne_ ? ::fcntl(socket, F_DUPFD_CLOEXEC, 0) : -1);
        if (!own) {
            return std::nullopt;
        }
        clients_.emplace(++last_, Client{std::move(own), address, clock_.steadyNow() + longest_});
        return last_;
    }
    void remove(std::uint64_t number) {
        const std::lock_guard lock(mutex_);
        clients_.erase(number);
    }
    void cut(SteadyTime before) {
        const std::lock_guard lock(mutex_);
        for (const auto& [number, client] : clients_) {
            if (client.until <= before) {
                ::shutdown(client.socket.get(), SHUT_RDWR);
            }
        }
    }

private:
    struct Client {
        Fd socket;
        std::string address;
        SteadyTime until;
    };
    const Millis longest_;
    const int mostOfOne_;
    Clock& clock_;
    std::mutex mutex_;
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, Client> clients_;
};

class Connection final : public Poco::Net::HTTPServerConnection {
public:
    Connection(const StreamSocket& socket, Poco::Net::HTTPServerParams::Ptr params,
               Poco::Net::HTTPRequestHandlerFactory::Ptr handlers, Watch& watch)
        : HTTPServerConnection(socket, std::move(params), std::move(handlers)), watch_(watch) {}

    void run() override {
        std::optional<std::uint64_t> number;
        try {
            number =
                watch_.add(socket().impl()->sockfd(), socket().peerAddress().host().toString());
            if (number) {
                HTTPServerConnection::run();
            }
        } catch (const std::exception&) {
            // A client that went away, or spoke no HTTP.
        }
        watch_.remove(number.value_or(0));
    }

private:
    Watch& watch_;
};

ServerReply answerTo(Poco::Net::HTTPServerRequest& from, std::size_t mostBody,
                     const Server::Handler& handler) {
    ServerRequest request{from.getMethod(), from.getURI(), from.get("Authorization", ""), ""};
    const bool hasBody = from.hasContentLength() || from.getChunkedTransferEncoding();
    if (hasBody) {
        const auto length = from.getChunkedTransferEncoding() ? -1 : from.getContentLength64();
        if (length < 0) {
            return {411, "the length of the body is missing"};
        }
        if (static_cast<std::uint64_t>(length) > mostBody) {
            return {413, "the body is too large"};
        }
        request.body.resize(static_cast<std::size_t>(length));
        from.stream().read(request.body.data(), length);
        if (from.stream().gcount() != length) {
            return {400, "the body is cut"};
        }
    }
    return handler(request);
}

class RequestHandler final : public Poco::Net::HTTPRequestHandler {
public:
    RequestHandler(std::size_t mostBody, const Server::Handler& handler)
        : mostBody_(mostBody), handler_(handler) {}

    void handleRequest(Poco::Net::HTTPServerRequest& request,
                       Poco::Net::HTTPServerResponse& response) override {
        const auto reply = answerTo(request, mostBody_, handler_);
        response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(reply.status));
        response.setContentType("text/plain");
        response.setContentLength64(static_cast<Poco::Int64>(reply.body.size()));
        response.send() << reply.body << std::flush;
        // Who still sends when the connection is closed would lose the answer.
        request.stream().ignore(static_cast<std::streamsize>(4 * mostBody_));
    }

private:
    const std::size_t mostBody_;
    const Server::Handler& handler_;
};

class RequestHandlers final : public Poco::Net::HTTPRequestHandlerFactory {
public:
    RequestHandlers(std::size_t mostBody, Server::Handler handler)
        : mostBody_(mostBody), handler_(std::move(handler)) {}
    Poco::Net::HTTPRequestHandler* createRequestHandler(
        const Poco::Net::HTTPServerRequest&) override {
        return new RequestHandler(mostBody_, handler_);
    }

private:
    const std::size_t mostBody_;
    const Server::Handler handler_;
};

class Connections final : public Poco::Net::TCPServerConnectionFactory {
public:
    Connections(Poco::Net::HTTPServerParams::Ptr params,
                Poco::Net::HTTPRequestHandlerFactory::Ptr handlers, Watch& watch)
        : params_(std::move(params)), handlers_(std::move(handlers)), watch_(watch) {}
    Poco::Net::TCPServerConnection* createConnection(const StreamSocket& socket) override {
        return new Connection(socket, params_, handlers_, watch_);
    }

private:
    const Poco::Net::HTTPServerParams::Ptr params_;
    const Poco::Net::HTTPRequestHandlerFactory::Ptr handlers_;
    Watch& watch_;
};

/// Poco takes `::`, all addresses, for none.
std::optional<Poco::Net::IPAddress> addressOf(const std::string& host) {
    if (host == "::") {
        return Poco::Net::IPAddress::wildcard(Poco::Net::IPAddress::IPv6);
    }
    Poco::Net::IPAddress address;
    return Poco::Net::IPAddress::tryParse(host, address) ? std::optional(address) : std::nullopt;
}

Poco::Net::ServerSocket listening(const ServerOptions& options) {
    using Poco::Net::Context;
    const Poco::Net::SocketAddress address(addressOf(options.address.host).value(),
                                           options.address.port);
    Poco::Net::ServerSocket socket;
    try {
        if (!options.tls.cert.empty()) {
            Context::Ptr context = new Context(Context::TLS_SERVER_USE, options.tls.key.string(),
                                               options.tls.cert.string(), "", Context::VERIFY_NONE);
            context->requireMinimumProtocol(Context::PROTO_TLSV1_2);
            socket = Poco::Net::SecureServerSocket(context);
        }
        // Poco's constructors would share the port with another server.
        socket.bind(address, true, false);
        socket.listen(2 * options.connections);
    } catch (const Poco::Exception& e) {
        throw std::runtime_error("cannot listen at " + address.toString() + ": " + e.displayText());
    }
    return socket;
}

Poco::Net::HTTPServerParams::Ptr paramsOf(const ServerOptions& options) {
    Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
    params->setMaxThreads(options.connections);
    params->setMaxQueued(options.connections);
    params->setKeepAlive(false);
    params->setTimeout(Poco::Timespan(std::chrono::microseconds(options.longest).count()));
    return params;
}

}  // namespace

struct Server::Impl {
    Impl(const ServerOptions& options, Handler handler, Clock& clock)
        : watch(options, clock),
          pool("http", 1, options.connections + 1),
          params(paramsOf(options)),
          socket(listening(options)),
          server(new Connections(params, new RequestHandlers(options.mostBody, std::move(handler)),
                                 watch),
                 pool, socket, params) {
        server.start();
        constexpr Millis kPace{500};
        const auto pace = std::min(kPace, options.longest / 4);
        cutter = std::jthread([this, &clock, pace](const std::stop_token& stop) {
            while (clock.sleepUntil(clock.steadyNow() + pace, stop)) {
                watch.cut(clock.steadyNow());
            }
        });
    }
    ~Impl() {
        ::shutdown(socket.impl()->sockfd(),
                   SHUT_RDWR);  // Else Poco hears of a stop only now and then.
        server.stop();
        cutter = {};
        while (pool.used() > 0) {
            watch.cut(SteadyTime::max());
            std::this_thread::yield();
        }
        pool.joinAll();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Watch watch;
    Poco::ThreadPool pool;
    Poco::Net::HTTPServerParams::Ptr params;
    Poco::Net::ServerSocket socket;
    Poco::Net::TCPServer server;
    std::jthread cutter;
};

ListenAddress parseListenAddress(const std::string& text) {
    const auto colon = text.rfind(':');
    auto host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    const auto address = addressOf(host);
    const auto port = colon == std::string::npos ? "" : text.substr(colon + 1);
    const bool isNumber = !port.empty() && port.size() <= 5 &&
                          port.find_first_not_of("0123456789") == std::string::npos;
    constexpr int kMostPort = 65535;
    if (!isNumber || std::stoi(port) > kMostPort || !address) {
        throw std::invalid_argument("is not written as ADDRESS:PORT, like 0.0.0.0:9253");
    }
    return {host, static_cast<std::uint16_t>(std::stoi(port)), address->isLoopback()};
}

Server::Server(const ServerOptions& options, Handler handler, Clock& clock)
    : impl_(std::make_unique<Impl>(options, std::move(handler), clock)) {}

Server::~Server() = default;

std::uint16_t Server::port() const {
    return impl_->server.port();
}

}  // namespace gridbridge::http
