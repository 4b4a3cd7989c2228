#include "tests/fakegitlab/Server.h"

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/String.h>
#include <Poco/ThreadPool.h>
#include <Poco/URI.h>

#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>

#include "tests/fakegitlab/Upload.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr int kMostConnections = 256;
/// Two hours: reading a request never gives up before a test does.
constexpr int kReadTimeoutSeconds = 7200;

Request received(Poco::Net::HTTPServerRequest& from, std::uint64_t keep) {
    Request request;
    request.method = from.getMethod();
    // Not Poco::URI(target): "//api" would become a host.
    const auto& target = from.getURI();
    const auto mark = target.find('?');
    Poco::URI::decode(target.substr(0, mark), request.path);
    request.query = mark == std::string::npos ? "" : target.substr(mark + 1);
    for (const auto& [name, value] : from) {
        request.headers[Poco::toLower(name)] = value;
    }
    const auto& type = request.header("content-type");
    if (type.starts_with("multipart/form-data")) {
        request.upload = std::make_shared<const Upload>(readUpload(from.stream(), type, keep));
    } else {
        request.body.assign(std::istreambuf_iterator<char>(from.stream()), {});
    }
    return request;
}

/// The client died while it sent: a server sees no request then.
bool isCut(const Request& request, Poco::Net::HTTPServerRequest& from) {
    if (from.hasContentLength()) {
        return static_cast<std::uint64_t>(from.getContentLength64()) > request.bodyBytes();
    }
    // Of a body in chunks only the socket tells whether it ended or was torn off.
    auto& socket = dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(from).socket();
    return request.upload && !request.upload->whole &&
           socket.poll(Poco::Timespan(0), Poco::Net::Socket::SELECT_READ) &&
           socket.available() == 0;
}

void send(const Reply& reply, Poco::Net::HTTPServerRequest& request,
          Poco::Net::HTTPServerResponse& response) {
    auto& socket = dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request).socket();
    if (reply.delivery == Delivery::Dropped) {
        response.setKeepAlive(false);
        socket.shutdown();
        return;
    }
    response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(reply.status));
    for (const auto& [name, value] : reply.headers) {
        response.set(name, value);
    }
    if (reply.status != 204) {
        response.setContentLength64(static_cast<Poco::Int64>(reply.body.size()));
    }
    const bool cut = reply.delivery == Delivery::Cut;
    auto& out = response.send();
    out.write(reply.body.data(),
              static_cast<std::streamsize>(cut ? reply.body.size() / 2 : reply.body.size()));
    out.flush();
    if (cut) {
        response.setKeepAlive(false);
        socket.shutdown();
    }
}

using TlsContext = Poco::Net::Context::Ptr;

TlsContext contextOf(const ServerTls& tls) {
    using Poco::Net::Context;
    if (tls.certificate.empty()) {
        return nullptr;
    }
    const auto verify = tls.clientAuthority.empty() ? Context::VERIFY_NONE : Context::VERIFY_STRICT;
    TlsContext context =
        new Context(Context::TLS_SERVER_USE, tls.key.string(), tls.certificate.string(),
                    tls.clientAuthority.string(), verify);
    // A client is no host whose name could be compared.
    context->enableExtendedCertificateVerification(false);
    return context;
}

Poco::Net::ServerSocket listening(std::uint16_t port, const TlsContext& context) {
    constexpr int kBacklog = 1024;
    Poco::Net::ServerSocket socket;
    if (!context.isNull()) {
        socket = Poco::Net::SecureServerSocket(context);
    }
    // Poco's constructors would share the port with another server.
    socket.bind(Poco::Net::SocketAddress("127.0.0.1", port), true, false);
    socket.listen(kBacklog);
    return socket;
}

class AwayFilter final : public Poco::Net::TCPServerConnectionFilter {
public:
    AwayFilter(const std::atomic<bool>& away, std::atomic<int>& accepted)
        : away_(away), accepted_(accepted) {}
    bool accept(const Poco::Net::StreamSocket&) override {
        const bool welcome = !away_;
        accepted_ += welcome ? 1 : 0;
        return welcome;
    }

private:
    const std::atomic<bool>& away_;
    std::atomic<int>& accepted_;
};

}  // namespace

struct Server::Impl {
    Impl(Handler call, std::uint16_t port, Millis keepAlive, std::uint64_t kept,
         const ServerTls& tls)
        : handler(std::move(call)),
          keep(kept),
          pool("fakegitlab", 2, kMostConnections),
          files(tls),
          context(contextOf(tls)),
          socket(listening(port, context)),
          server(new Factory(*this), pool, socket, parameters(keepAlive)) {
        server.setConnectionFilter(new AwayFilter(away, accepted));
        server.start();
    }
    ~Impl() {
        stop();
        server.stopAll(true);
        pool.joinAll();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void stop() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        changed.notify_all();
    }

    void delay(Millis time) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, time, [this] { return stopping; });
    }

    static Poco::Net::HTTPServerParams::Ptr parameters(Millis keepAlive) {
        Poco::Net::HTTPServerParams::Ptr result = new Poco::Net::HTTPServerParams;
        result->setMaxThreads(kMostConnections);
        result->setMaxQueued(4096);
        result->setKeepAlive(true);
        result->setMaxKeepAliveRequests(0);
        result->setKeepAliveTimeout(Poco::Timespan(std::chrono::microseconds(keepAlive).count()));
        result->setTimeout(Poco::Timespan(kReadTimeoutSeconds, 0));
        return result;
    }

    class Worker final : public Poco::Net::HTTPRequestHandler {
    public:
        explicit Worker(Impl& impl) : impl_(impl) {}
        void handleRequest(Poco::Net::HTTPServerRequest& request,
                           Poco::Net::HTTPServerResponse& response) override {
            const auto whole = received(request, impl_.keep);
            if (isCut(whole, request)) {
                send({.delivery = Delivery::Dropped}, request, response);
                return;
            }
            const auto reply = impl_.handler(whole);
            if (reply.delay.count() > 0) {
                impl_.delay(reply.delay);
            }
            send(reply, request, response);
        }

    private:
        Impl& impl_;
    };

    class Factory final : public Poco::Net::HTTPRequestHandlerFactory {
    public:
        explicit Factory(Impl& impl) : impl_(impl) {}
        Poco::Net::HTTPRequestHandler* createRequestHandler(
            const Poco::Net::HTTPServerRequest&) override {
            return new Worker(impl_);
        }

    private:
        Impl& impl_;
    };

    Handler handler;
    const std::uint64_t keep;
    std::atomic<bool> away = false;
    std::atomic<int> accepted = 0;
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    Poco::ThreadPool pool;
    ServerTls files;
    TlsContext context;
    Poco::Net::ServerSocket socket;
    Poco::Net::HTTPServer server;
};

Server::Server(Handler handler, std::uint16_t port, Millis keepAlive, std::uint64_t keep,
               const ServerTls& tls)
    : impl_(std::make_unique<Impl>(std::move(handler), port, keepAlive, keep, tls)) {}

Server::~Server() = default;

std::uint16_t Server::port() const {
    return impl_->server.port();
}

void Server::setAway(bool away) {
    impl_->away = away;
}

void Server::takeUpAll() {
    // The oldest connection is accepted first: when this one has been served, so were all before.
    try {
        Poco::Net::StreamSocket last(Poco::Net::SocketAddress("127.0.0.1", port()));
        last.shutdownSend();
        char byte = 0;
        while (last.receiveBytes(&byte, 1) > 0) {
        }
    } catch (const Poco::Exception&) {
        // Away: it is closed with a reset.
    }
}

bool Server::isAlone() const {
    // Those that Poco has just taken from its queue count nowhere; only its total tells that all
    // have begun.
    const int accepted = impl_->accepted;
    return impl_->server.totalConnections() == accepted && impl_->server.currentConnections() == 0;
}

void Server::renewCertificate() {
    impl_->context->useCertificate(
        Poco::Crypto::X509Certificate(impl_->files.certificate.string()));
    impl_->context->usePrivateKey(Poco::Crypto::EVPPKey("", impl_->files.key.string()));
}

void Server::stop() {
    impl_->stop();
}

}  // namespace gridbridge::fakegitlab
