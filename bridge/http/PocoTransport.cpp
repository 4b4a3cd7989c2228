#include "bridge/http/PocoTransport.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "bridge/http/BaseUrl.h"
#include "bridge/http/Connection.h"
#include "bridge/http/Multipart.h"
#include "bridge/http/Target.h"
#include "bridge/http/Tls.h"

namespace gridbridge::http {

namespace {

/// Servers and proxies close idle connections after five seconds and more.
constexpr auto kLongestIdle = std::chrono::seconds(4);
constexpr std::size_t kMostIdle = 8;
constexpr std::size_t kLongestMessage = 400;

std::string oneLine(std::string text) {
    text.resize(std::min(text.size(), kLongestMessage));
    for (auto& c : text) {
        c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return text;
}

bool hasControl(const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
}

/// Why the request must not be written to a connection; empty = it may.
std::string flaw(const Request& request) {
    if (!request.path.starts_with('/') || hasControl(request.path) ||
        request.path.find(' ') != std::string::npos) {
        return "the path is not encoded";
    }
    for (const auto& [name, value] : request.headers) {
        if (name.empty() || hasControl(name) || name.find(':') != std::string::npos ||
            hasControl(value)) {
            return "a header holds a control character";
        }
    }
    return {};
}

}  // namespace

struct PocoTransport::Impl {
    Impl(const std::string& url, const Clock& theClock, std::string agent,
         TransportOptions theOptions)
        : server(parseBaseUrl(url)),
          options(std::move(theOptions)),
          proxy(proxyTo(server, options.environment)),
          clock(theClock),
          userAgent(std::move(agent)) {
        if (server.tls) {
            tls = tlsContext(options.tls);
        }
    }

    /// A kept connection that is surely still open, or nothing. Only the one that is taken is
    /// looked at: the others may have a long rest before them.
    std::unique_ptr<Connection> take() {
        const auto now = clock.steadyNow();
        const std::lock_guard lock(mutex);
        std::erase_if(idle,
                      [now](const auto& each) { return now - each->idleSince >= kLongestIdle; });
        std::unique_ptr<Connection> result;
        while (!result && !idle.empty()) {
            result = std::move(idle.back());
            idle.pop_back();
            if (!result->reusable()) {
                result.reset();
            }
        }
        return result;
    }

    void keep(std::unique_ptr<Connection> connection) {
        if (!connection->reusable()) {
            return;
        }
        connection->idleSince = clock.steadyNow();
        const std::lock_guard lock(mutex);
        if (idle.size() < kMostIdle) {
            idle.push_back(std::move(connection));
        }
    }

    /// Inside TLS a proxy sees no request.
    bool readByProxy() const { return proxy && !server.tls; }

    void address(Poco::Net::HTTPRequest& to, const Request& from,
                 const std::optional<Multipart>& file) const {
        to.set("Host", server.authority);
        if (readByProxy()) {
            to.setURI("http://" + server.authority + to.getURI());
            authorize(to, *proxy);
        }
        to.set("User-Agent", userAgent);
        to.setKeepAlive(true);
        for (const auto& [name, value] : from.headers) {
            to.set(name, value);
        }
        if (file) {
            to.setContentType(file->contentType());
            to.setChunkedTransferEncoding(true);
        } else if (!from.body.empty() || (from.method != "GET" && from.method != "HEAD")) {
            to.setContentLength64(static_cast<Poco::Int64>(from.body.size()));
        }
    }

    /// `sent` tells how far it came when an exception leaves it.
    Response exchange(Connection& connection, const Request& from, std::optional<Multipart>& file,
                      bool& sent) const {
        Poco::Net::HTTPRequest request(from.method, server.root + from.path,
                                       Poco::Net::HTTPMessage::HTTP_1_1);
        address(request, from, file);
        try {
            connection.sendWhole(request, [&](std::ostream& out) {
                return file ? file->writeTo(out) : bool(out << from.body);
            });
            sent = true;
        } catch (const Poco::Exception&) {
            if (!file || file->broken() || connection.cut() != Watch::Cut::None) {
                throw;
            }
            // Who refuses a long upload, or sends it elsewhere, closes: that answer is worth more
            // than the error.
            return earlyAnswer(connection);
        }
        return connection.receiveWhole(from.sink ? &*from.sink : nullptr);
    }

    static Response earlyAnswer(Connection& connection) {
        connection.forgetSendError();
        auto answer = connection.receiveWhole(nullptr);
        if (answer.status < 300) {
            throw Poco::IOException("the connection broke during the upload");
        }
        return answer;
    }

    /// The answer, or the error when a proxy has not let the request pass.
    Result<Response> judged(Response answer, const Request& request) const {
        if (!readByProxy()) {
            return answer;
        }
        if (answer.status == 407) {
            return misconfigured(
                failure(request, Watch::Cut::None, false, refusalOf(*proxy, answer.status)));
        }
        answer.proxy = proxy->authority;
        return answer;
    }

    static Error misconfigured(Error error) {
        error.misconfigured = true;
        return error;
    }

    Error failure(const Request& request, Watch::Cut cut, bool sent, const std::string& why) const {
        auto text = request.method + " " + server.text +
                    request.path.substr(0, request.path.find('?')) + ": ";
        switch (cut) {
            case Watch::Cut::None:
                text += why;
                break;
            case Watch::Cut::Deadline:
                text +=
                    sent ? "no whole answer in the time allowed" : "not sent in the time allowed";
                break;
            case Watch::Cut::Stop:
                text += "stopped before the answer came";
                break;
        }
        text = oneLine(std::move(text));
        return sent ? uncertainError(std::move(text)) : transientError(std::move(text));
    }

    BaseUrl server;
    TransportOptions options;
    std::optional<Proxy> proxy;
    const Clock& clock;
    std::string userAgent;
    Poco::Net::Context::Ptr tls;
    std::mutex mutex;
    std::vector<std::unique_ptr<Connection>> idle;
};

PocoTransport::PocoTransport(const std::string& url, const Clock& clock, std::string userAgent,
                             const TransportOptions& options)
    : impl_(std::make_unique<Impl>(url, clock, std::move(userAgent), options)) {}

PocoTransport::~PocoTransport() = default;

const std::string& PocoTransport::baseUrl() const {
    return impl_->server.text;
}

Result<std::unique_ptr<Transport>> PocoTransport::to(const std::string& url) const {
    BaseUrl server;
    try {
        server = parseBaseUrl(url);
    } catch (const std::invalid_argument& problem) {
        return permanentError(problem.what());
    }
    auto options = impl_->options;
    if (!isSameHost(server, impl_->server)) {
        options.tls = {.ca = options.tls.ca};
    }
    try {
        return std::unique_ptr<Transport>(
            std::make_unique<PocoTransport>(url, impl_->clock, impl_->userAgent, options));
    } catch (const std::exception& problem) {
        return Impl::misconfigured(transientError(oneLine(problem.what())));
    }
}

Result<Response> PocoTransport::send(const CallContext& ctx, const Request& request) {
    if (const auto why = flaw(request); !why.empty()) {
        return permanentError("the request cannot be sent: " + why);
    }
    std::optional<Multipart> file;
    if (request.file) {
        file.emplace(*request.file, request.path);
    }
    std::unique_ptr<Connection> connection;
    auto cut = Watch::Cut::None;
    bool sent = false;
    const auto failed = [&](const std::string& why) {
        const auto cause = connection ? connection->cut() : cut;
        // TLS 1.3 tells so only after the handshake, if the connection lives long enough.
        const bool wanted =
            cause == Watch::Cut::None && connection && connection->certificateWanted();
        return wanted ? Impl::misconfigured(
                            impl_->failure(request, cause, sent, why + kCertificateWanted))
                      : impl_->failure(request, cause, sent, why);
    };
    try {
        connection = request.newConnection ? nullptr : impl_->take();
        if (!connection) {
            connection =
                Connection::open(impl_->server, impl_->proxy, impl_->tls, impl_->clock, ctx, cut);
        }
        connection->begin(ctx);
        auto answer = impl_->exchange(*connection, request, file, sent);
        impl_->keep(std::move(connection));
        return impl_->judged(std::move(answer), request);
    } catch (const Poco::Exception& problem) {
        return file && file->broken() ? *file->broken() : failed(problem.displayText());
    } catch (const TooLong& problem) {
        return permanentError(failed(problem.what()).message);
    } catch (const Misconfigured& problem) {
        return Impl::misconfigured(failed(problem.what()));
    } catch (const std::exception& problem) {
        return failed(problem.what());
    }
}

}  // namespace gridbridge::http
