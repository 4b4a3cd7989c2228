#pragma once

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/http/BaseUrl.h"
#include "bridge/http/Proxy.h"
#include "bridge/http/Transport.h"

namespace gridbridge::http {

/// Ends every wait of a socket at the call's deadline or stop, also when the other side sends a
/// byte now and then. One thread at a time.
class Watch {
public:
    enum class Cut { None, Deadline, Stop };

    explicit Watch(const Clock& clock) : clock_(clock) {}
    void begin(const CallContext& ctx);
    /// Throws Poco::TimeoutException once the call's time is over.
    void check();
    SteadyTime now() const { return clock_.steadyNow(); }
    Cut cut() const { return cut_; }

    /// Set by the socket: the stream has ended or broken since begin().
    bool ended = false;

private:
    const Clock& clock_;
    CallContext ctx_;
    Cut cut_ = Cut::None;
};

/// The body of an answer is longer than its sink allows; `what()` says so.
class TooLong : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Adds the name and the password that `proxy` is to be given, if there are any.
void authorize(Poco::Net::HTTPRequest& request, const Proxy& proxy);

/// One connection to one server, and one request and answer on it at a time. Poco reconnects
/// behind a caller's back; this one never does. One thread at a time.
class Connection final : public Poco::Net::HTTPClientSession {
public:
    /// Connects, to `proxy` where there is one, and, with `tls`, checks the server's certificate
    /// for `server.host`. Throws std::exception, Poco's or with a whole sentence; `cut` then says
    /// whether the deadline or a stop was the cause.
    static std::unique_ptr<Connection> open(const BaseUrl& server,
                                            const std::optional<Proxy>& proxy,
                                            const Poco::Net::Context::Ptr& tls, const Clock& clock,
                                            const CallContext& ctx, Watch::Cut& cut);

    void begin(const CallContext& ctx) { watch_.begin(ctx); }
    Watch::Cut cut() const { return watch_.cut(); }
    /// The server asked for a certificate of the client, and there was none.
    bool certificateWanted() const { return certificateWanted_; }

    /// Sends everything or throws. `write` gets the stream behind the header and returns false
    /// when it cannot deliver the whole body.
    void sendWhole(Poco::Net::HTTPRequest& request,
                   const std::function<bool(std::ostream&)>& write);
    /// After a failed sendWhole: a server may have refused a long body with an answer.
    void forgetSendError();
    /// The whole answer, or an exception. `sink`, or null, takes the body of a success.
    Response receiveWhole(const BodySink* sink);

    /// Another request may follow: the server keeps the connection and has said no more.
    bool reusable();

    SteadyTime idleSince{};

private:
    Connection(const Poco::Net::StreamSocket& socket, Watch& watch);
    /// Has the proxy at the other end connect the socket to `server`.
    void askForTunnel(const BaseUrl& server, const Proxy& proxy);
    /// Poco takes a chunk without a size for the end.
    void readChunks(const Sink& sink);
    std::uint64_t chunkSize();
    /// Up to the end of the line, which must be there.
    std::string readLine();
    void connect(const Poco::Net::SocketAddress& address) override;
    bool mustReconnect() const override { return false; }

    Watch& watch_;  ///< Lives in the socket, which the session holds.
    bool keptByServer_ = false;
    bool halfSent_ = false;  ///< A request is, and nothing can follow it.
    bool certificateWanted_ = false;
};

}  // namespace gridbridge::http
