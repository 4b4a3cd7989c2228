#pragma once

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/ThreadPool.h>
#include <Poco/URI.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace gridbridge::testing {

/// An HTTP proxy on 127.0.0.1. Whatever server a client names, it is led to the port `target` of
/// this machine: through a tunnel after CONNECT, else request by request. Safe for concurrent use.
class FakeProxy {
public:
    explicit FakeProxy(std::uint16_t target)
        : target_("127.0.0.1", target),
          pool_(2, kMostConnections),
          socket_(Poco::Net::SocketAddress("127.0.0.1", 0)),
          server_(new Factory(*this), pool_, socket_, parameters()) {
        server_.start();
    }
    ~FakeProxy() {
        stopping_ = true;
        server_.stopAll(true);
        pool_.joinAll();
    }
    FakeProxy(const FakeProxy&) = delete;
    FakeProxy& operator=(const FakeProxy&) = delete;

    /// `127.0.0.1:PORT`
    std::string address() const { return socket_.address().toString(); }
    /// From now on everything gets this answer; 0 = is passed on again.
    void refuse(int status) { refusal_ = status; }
    /// From now on a request without this Proxy-Authorization gets 407.
    void demand(std::string authorization) {
        const std::lock_guard lock(mutex_);
        demanded_ = std::move(authorization);
    }
    /// First lines of the requests, without the HTTP version.
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    static constexpr int kMostConnections = 32;

    static Poco::Net::HTTPServerParams::Ptr parameters() {
        Poco::Net::HTTPServerParams::Ptr result = new Poco::Net::HTTPServerParams;
        result->setMaxThreads(kMostConnections);
        result->setKeepAlive(true);
        return result;
    }

    class Handler final : public Poco::Net::HTTPRequestHandler {
    public:
        explicit Handler(FakeProxy& proxy) : proxy_(proxy) {}
        void handleRequest(Poco::Net::HTTPServerRequest& request,
                           Poco::Net::HTTPServerResponse& response) override {
            try {
                if (const int status = proxy_.verdict(request); status != 0) {
                    response.setStatusAndReason(
                        static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
                    response.setKeepAlive(false);
                    response.setContentLength(0);
                    response.send();
                } else if (request.getMethod() == "CONNECT") {
                    tunnel(request);
                } else {
                    passOn(request, response);
                }
            } catch (const Poco::Exception&) {
                response.setKeepAlive(false);  // One side has gone.
            }
        }

    private:
        void tunnel(Poco::Net::HTTPServerRequest& request) {
            auto near = dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request).detachSocket();
            Poco::Net::StreamSocket far(proxy_.target_);
            const std::string answer = "HTTP/1.1 200 Connection established\r\n\r\n";
            near.sendBytes(answer.data(), static_cast<int>(answer.size()));
            while (!proxy_.stopping_ && relay(near, far) && relay(far, near)) {
            }
        }
        static bool relay(Poco::Net::StreamSocket& from, Poco::Net::StreamSocket& to) {
            if (!from.poll(Poco::Timespan(2000), Poco::Net::Socket::SELECT_READ)) {
                return true;
            }
            char buffer[16384];
            const int got = from.receiveBytes(buffer, sizeof buffer);
            for (int sent = 0; sent < got;) {
                sent += to.sendBytes(buffer + sent, got - sent);
            }
            return got > 0;
        }
        void passOn(Poco::Net::HTTPServerRequest& request,
                    Poco::Net::HTTPServerResponse& response) {
            Poco::Net::HTTPClientSession server(proxy_.target_);
            Poco::Net::HTTPRequest onward(request.getMethod(),
                                          Poco::URI(request.getURI()).getPathAndQuery(),
                                          Poco::Net::HTTPMessage::HTTP_1_1);
            for (const auto& [name, value] : request) {
                onward.set(name, value);
            }
            onward.erase("Proxy-Authorization");
            Poco::StreamCopier::copyStream(request.stream(), server.sendRequest(onward));
            Poco::Net::HTTPResponse answer;
            auto& body = server.receiveResponse(answer);
            response.setStatusAndReason(answer.getStatus());
            for (const auto& [name, value] : answer) {
                response.set(name, value);
            }
            Poco::StreamCopier::copyStream(body, response.send());
        }

        FakeProxy& proxy_;
    };

    class Factory final : public Poco::Net::HTTPRequestHandlerFactory {
    public:
        explicit Factory(FakeProxy& proxy) : proxy_(proxy) {}
        Poco::Net::HTTPRequestHandler* createRequestHandler(
            const Poco::Net::HTTPServerRequest&) override {
            return new Handler(proxy_);
        }

    private:
        FakeProxy& proxy_;
    };

    /// Status to refuse it with; 0 = it is passed on.
    int verdict(const Poco::Net::HTTPServerRequest& request) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request.getMethod() + " " + request.getURI());
        if (!demanded_.empty() && request.get("Proxy-Authorization", "") != demanded_) {
            return 407;
        }
        return refusal_;
    }

    const Poco::Net::SocketAddress target_;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> refusal_ = 0;
    mutable std::mutex mutex_;
    std::string demanded_;
    std::vector<std::string> requests_;
    Poco::ThreadPool pool_;
    Poco::Net::ServerSocket socket_;
    Poco::Net::HTTPServer server_;
};

}  // namespace gridbridge::testing
