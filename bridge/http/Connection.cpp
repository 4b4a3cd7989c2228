#include "bridge/http/Connection.h"

#include <Poco/Net/DNS.h>
#include <Poco/Net/HTTPBasicCredentials.h>
#include <Poco/Net/HostEntry.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/SecureStreamSocketImpl.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <istream>
#include <ostream>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>

#include "bridge/http/Tls.h"

namespace gridbridge::http {

namespace {

using Poco::AutoPtr;
using Poco::Net::IPAddress;
using Poco::Net::SocketAddress;
using Poco::Net::SocketImpl;

/// How long a wait lasts before the watch is asked again.
const Poco::Timespan kSlice(100 * Poco::Timespan::MILLISECONDS);
/// For one of several addresses of a host that swallows packets.
constexpr auto kConnectLimit = std::chrono::seconds(30);
constexpr int kMostHeaders = 200;
constexpr std::size_t kPiece = std::size_t{64} << 10U;
/// Of a line between chunks.
constexpr std::size_t kLongestLine = 4096;
constexpr auto kCutShort = "the answer is cut short";

/// Takes the body of an answer as it comes, to its sink or into memory. Throws when it is too
/// long, or nobody takes more.
class Intake {
public:
    /// Without a `sink` it fills `body`.
    Intake(const BodySink* sink, std::string& body) : sink_(sink), body_(body) {}

    bool mustBeWhole() const { return sink_ != nullptr; }
    std::int64_t taken() const { return taken_; }
    /// The whole length, before anything is taken; negative = not known.
    void announce(std::int64_t length) const {
        if (sink_ == nullptr && length > static_cast<std::int64_t>(kLargestAnswer)) {
            throw Poco::Net::MessageException("the answer is larger than 64 MiB");
        }
        if (sink_ != nullptr && length > sink_->limit) {
            throw TooLong("the answer is longer than " + std::to_string(sink_->limit) + " bytes");
        }
    }
    void take(std::string_view piece) {
        taken_ += static_cast<std::int64_t>(piece.size());
        announce(taken_);
        if (sink_ == nullptr) {
            body_.append(piece);
        } else if (!sink_->write(piece)) {
            throw Poco::IOException("the rest of the answer was not taken");
        }
    }

private:
    const BodySink* sink_;
    std::string& body_;
    std::int64_t taken_ = 0;
};

/// `transfer` may time out after a slice; tries again until the watch ends it.
template <typename Transfer>
int watched(Watch& watch, const Transfer& transfer) {
    for (;;) {
        watch.check();
        try {
            return transfer();
        } catch (const Poco::TimeoutException&) {
            continue;
        } catch (const Poco::Exception& problem) {
            // How Poco 1.11 reports a send that timed out.
            if (problem.code() != EAGAIN) {
                watch.ended = true;
                throw;
            }
        }
    }
}

class PlainSocket final : public Poco::Net::StreamSocketImpl {
public:
    explicit PlainSocket(const Clock& clock) : watch(clock) {}

    void open(const SocketAddress& address, bool last) {
        const auto limit = watch.now() + kConnectLimit;
        connectNB(address);
        while (!poll(kSlice, SELECT_WRITE | SELECT_ERROR)) {
            watch.check();
            if (!last && watch.now() >= limit) {
                throw Poco::Net::NetException("no answer from " + address.toString());
            }
        }
        if (const int code = socketError(); code != 0) {
            error(code, address.toString());
        }
        setBlocking(true);
        setReceiveTimeout(kSlice);
        setSendTimeout(kSlice);
        setNoDelay(true);
    }

    using StreamSocketImpl::receiveBytes;
    using StreamSocketImpl::sendBytes;
    int receiveBytes(void* buffer, int length, int flags) override {
        const int got =
            watched(watch, [&] { return StreamSocketImpl::receiveBytes(buffer, length, flags); });
        watch.ended = watch.ended || got == 0;
        return got;
    }
    int sendBytes(const void* buffer, int length, int flags) override {
        const auto* bytes = static_cast<const char*>(buffer);
        // Not StreamSocketImpl::sendBytes: a time-out there forgets how much was sent.
        for (int sent = 0; sent < length;) {
            sent += watched(watch, [&] {
                return SocketImpl::sendBytes(bytes + sent, length - sent, flags | MSG_NOSIGNAL);
            });
        }
        return length;
    }

    Watch watch;

private:
    ~PlainSocket() override = default;
};

class TlsSocket final : public Poco::Net::SecureStreamSocketImpl {
public:
    /// `plain` is connected; `watch` is its watch.
    TlsSocket(PlainSocket& plain, const Poco::Net::Context::Ptr& context)
        : SecureStreamSocketImpl(&plain, context), watch_(plain.watch) {}

    /// Throws as Handshake::fail.
    void open(const std::string& host) {
        if (IPAddress number; !IPAddress::tryParse(host, number)) {
            setPeerHostName(host);
        }
        setLazyHandshake();
        const Handshake handshake;
        try {
            connectSSL();
            if (watched(watch_, [this] { return completeHandshake(); }) != 1) {
                throw Poco::Net::SSLConnectionUnexpectedlyClosedException();
            }
            verifyPeerCertificate(host);
        } catch (const Poco::Net::SSLException& problem) {
            handshake.fail(problem, host);
        }
        certificateWanted = handshake.certificateWanted();
    }

    bool certificateWanted = false;

    using SecureStreamSocketImpl::receiveBytes;
    using SecureStreamSocketImpl::sendBytes;
    int receiveBytes(void* buffer, int length, int flags) override {
        const int got = watched(
            watch_, [&] { return SecureStreamSocketImpl::receiveBytes(buffer, length, flags); });
        watch_.ended = watch_.ended || got == 0;
        return got;
    }
    int sendBytes(const void* buffer, int length, int flags) override {
        const auto* bytes = static_cast<const char*>(buffer);
        for (int sent = 0; sent < length;) {
            sent += watched(watch_, [&] {
                return SecureStreamSocketImpl::sendBytes(bytes + sent, length - sent, flags);
            });
        }
        return length;
    }

private:
    ~TlsSocket() override = default;
    Watch& watch_;
};

std::vector<IPAddress> addressesOf(const std::string& host) {
    if (IPAddress number; IPAddress::tryParse(host, number)) {
        return {number};
    }
    auto addresses = Poco::Net::DNS::hostByName(host).addresses();
    if (addresses.empty()) {
        throw Poco::Net::HostNotFoundException(host);
    }
    return addresses;
}

AutoPtr<PlainSocket> connectedTo(const std::string& host, std::uint16_t port, const Clock& clock,
                                 const CallContext& ctx, Watch::Cut& cut) {
    const auto addresses = addressesOf(host);
    for (std::size_t i = 0;; ++i) {
        const bool last = i + 1 == addresses.size();
        AutoPtr<PlainSocket> socket(new PlainSocket(clock));
        socket->watch.begin(ctx);
        try {
            socket->watch.check();
            socket->open(SocketAddress(addresses[i], port), last);
            return socket;
        } catch (const Poco::Exception&) {
            cut = socket->watch.cut();
            if (last || cut != Watch::Cut::None) {
                throw;
            }
        }
    }
}

AutoPtr<PlainSocket> connectedTo(const Proxy& proxy, const Clock& clock, const CallContext& ctx,
                                 Watch::Cut& cut) {
    try {
        return connectedTo(proxy.host, proxy.port, clock, ctx, cut);
    } catch (const Poco::Exception& problem) {
        throw std::runtime_error("the proxy " + proxy.authority +
                                 " cannot be reached: " + problem.displayText());
    }
}

}  // namespace

void authorize(Poco::Net::HTTPRequest& request, const Proxy& proxy) {
    if (!proxy.user.empty()) {
        Poco::Net::HTTPBasicCredentials(proxy.user, proxy.password.reveal())
            .proxyAuthenticate(request);
    }
}

void Watch::begin(const CallContext& ctx) {
    ctx_ = ctx;
    cut_ = Cut::None;
    ended = false;
}

void Watch::check() {
    if (ctx_.stop.stop_requested() && clock_.steadyNow() >= ctx_.stopNotBefore) {
        cut_ = Cut::Stop;
    } else if (clock_.steadyNow() >= ctx_.deadline) {
        cut_ = Cut::Deadline;
    }
    if (cut_ != Cut::None) {
        throw Poco::TimeoutException();
    }
}

std::unique_ptr<Connection> Connection::open(const BaseUrl& server,
                                             const std::optional<Proxy>& proxy,
                                             const Poco::Net::Context::Ptr& tls, const Clock& clock,
                                             const CallContext& ctx, Watch::Cut& cut) {
    const CallContext connecting{ctx.deadline, ctx.stop};
    auto plain = proxy ? connectedTo(*proxy, clock, connecting, cut)
                       : connectedTo(server.host, server.port, clock, connecting, cut);
    const auto shared = [](Poco::Net::SocketImpl& impl) {
        impl.duplicate();
        return Poco::Net::StreamSocket(&impl);
    };
    if (!server.tls) {
        return std::unique_ptr<Connection>(new Connection(shared(*plain), plain->watch));
    }
    try {
        if (proxy) {
            Connection(shared(*plain), plain->watch).askForTunnel(server, *proxy);
        }
        AutoPtr<TlsSocket> secure(new TlsSocket(*plain, tls));
        secure->open(server.host);
        std::unique_ptr<Connection> result(new Connection(shared(*secure), plain->watch));
        result->certificateWanted_ = secure->certificateWanted;
        return result;
    } catch (const Poco::Exception&) {
        cut = plain->watch.cut();
        throw;
    }
}

void Connection::askForTunnel(const BaseUrl& server, const Proxy& proxy) {
    const bool bracketed = server.host.find(':') != std::string::npos;
    const auto target =
        (bracketed ? "[" + server.host + "]" : server.host) + ":" + std::to_string(server.port);
    Poco::Net::HTTPRequest request("CONNECT", target, Poco::Net::HTTPMessage::HTTP_1_1);
    request.set("Host", target);
    authorize(request, proxy);
    sendWhole(request, [](std::ostream&) { return true; });
    Poco::Net::HTTPResponse answer;
    answer.setFieldLimit(kMostHeaders);
    receiveResponse(answer);
    if (answer.getStatus() / 100 != 2) {
        const auto why = refusalOf(proxy, answer.getStatus());
        if (answer.getStatus() == 407) {
            throw Misconfigured(why);
        }
        throw std::runtime_error(why);
    }
    if (buffered() != 0) {
        throw std::runtime_error("the proxy " + proxy.authority + " says more than asked");
    }
    detachSocket();  // It stays open.
}

Connection::Connection(const Poco::Net::StreamSocket& socket, Watch& watch)
    : HTTPClientSession(socket), watch_(watch) {
    setKeepAlive(true);
}

void Connection::connect(const SocketAddress&) {
    throw Poco::Net::ConnectionAbortedException("the server has closed the connection");
}

void Connection::sendWhole(Poco::Net::HTTPRequest& request,
                           const std::function<bool(std::ostream&)>& write) {
    keptByServer_ = false;
    halfSent_ = true;
    auto& out = sendRequest(request);
    // Poco ends a body in chunks when it drops the stream: nobody may take half for the whole.
    const std::unique_ptr<Connection, void (*)(Connection*)> unlessWhole(
        this, [](Connection* self) {
            if (self->halfSent_) {
                ::shutdown(self->socket().impl()->sockfd(), SHUT_WR);
            }
        });
    const bool written = write(out) && out.flush();
    // It keeps the cause here; the stream only knows that it is bad.
    if (networkException() != nullptr) {
        networkException()->rethrow();
    }
    if (!written || watch_.ended) {
        throw Poco::IOException("the body could not be sent whole");
    }
    halfSent_ = false;
    flushRequest();
}

void Connection::forgetSendError() {
    try {
        flushRequest();
    } catch (const Poco::Exception&) {
        clearException();
    }
    watch_.ended = false;
}

std::string Connection::readLine() {
    std::string line;
    for (int c = get(); c != '\n'; c = get()) {
        if (c == std::char_traits<char>::eof() || line.size() == kLongestLine) {
            throw Poco::Net::MessageException(kCutShort);
        }
        line += static_cast<char>(c);
    }
    if (line.ends_with('\r')) {
        line.pop_back();
    }
    return line;
}

std::uint64_t Connection::chunkSize() {
    const auto line = readLine();
    std::uint64_t size = 0;
    const auto* end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data(), end, size, 16);
    // Behind it stands what extends the protocol, or blanks.
    if (error != std::errc{} || (stop != end && *stop != ';' && *stop != ' ')) {
        throw Poco::Net::MessageException(kCutShort);
    }
    return size;
}

void Connection::readChunks(const Sink& sink) {
    std::vector<char> piece(kPiece);
    for (auto left = chunkSize(); left > 0; left = chunkSize()) {
        while (left > 0) {
            const auto wanted = std::min<std::uint64_t>(left, piece.size());
            const int got = read(piece.data(), static_cast<std::streamsize>(wanted));
            if (got <= 0) {
                throw Poco::Net::MessageException(kCutShort);
            }
            sink({piece.data(), static_cast<std::size_t>(got)});
            left -= static_cast<std::uint64_t>(got);
        }
        if (!readLine().empty()) {
            throw Poco::Net::MessageException(kCutShort);
        }
    }
    for (int trailers = 0; !readLine().empty(); ++trailers) {
        if (trailers == kMostHeaders) {
            throw Poco::Net::MessageException(kCutShort);
        }
    }
}

Response Connection::receiveWhole(const BodySink* sink) {
    Poco::Net::HTTPResponse header;
    header.setFieldLimit(kMostHeaders);
    auto& in = receiveResponse(header);
    Response result;
    result.status = static_cast<int>(header.getStatus());
    if (result.status < 100 || result.status > 599) {
        throw Poco::Net::MessageException("the status is no HTTP status");
    }
    const bool bodiless = result.status == 204 || result.status == 304;
    const bool chunked = header.getChunkedTransferEncoding() && !bodiless;
    const auto promised = chunked || bodiless ? -1 : header.getContentLength64();
    const bool untilClose = !chunked && promised < 0 && !bodiless;
    Intake intake(result.status / 100 == 2 ? sink : nullptr, result.body);
    if (untilClose && intake.mustBeWhole()) {
        throw Poco::Net::MessageException("the answer does not say how long it is");
    }
    intake.announce(promised);
    if (chunked) {
        readChunks([&](std::string_view piece) { return intake.take(piece), true; });
    } else {
        std::vector<char> piece(kPiece);
        while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
            intake.take({piece.data(), static_cast<std::size_t>(in.gcount())});
        }
        if (networkException() != nullptr) {
            networkException()->rethrow();
        }
        const bool tooShort = promised >= 0 && intake.taken() != promised;
        if (in.bad() || tooShort || (watch_.ended && !untilClose)) {
            throw Poco::Net::MessageException(kCutShort);
        }
    }
    for (const auto& [name, value] : header) {
        result.headers.emplace_back(name, value);
    }
    keptByServer_ = header.getKeepAlive() && !untilClose;
    return result;
}

bool Connection::reusable() {
    if (!keptByServer_ || halfSent_ || watch_.ended || !connected() || buffered() != 0) {
        return false;
    }
    // Not Socket::poll, which makes an epoll descriptor each time.
    pollfd said{socket().impl()->sockfd(), POLLIN, 0};
    return ::poll(&said, 1, 0) == 0;
}

}  // namespace gridbridge::http
