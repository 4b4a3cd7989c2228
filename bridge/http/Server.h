#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/http/TlsFiles.h"

namespace gridbridge::http {

struct ListenAddress {
    std::string host;  ///< An IP address, without brackets.
    std::uint16_t port = 0;
    bool isLoopback = false;
    bool operator==(const ListenAddress&) const = default;
};

/// `ADDRESS:PORT`, where an IPv6 address has brackets. Throws std::invalid_argument, whose text
/// says how it is written.
ListenAddress parseListenAddress(const std::string& text);

struct ServerRequest {
    std::string method;
    std::string target;         ///< Path and query, as they were sent.
    std::string authorization;  ///< That header; empty = none.
    std::string body;
};
struct ServerReply {
    int status = 200;
    std::string body;  ///< Plain text.
};

struct ServerOptions {
    ListenAddress address;  ///< Port 0: any that is free.
    TlsFiles tls = {};      ///< `cert` and `key`, read once; without them it is plain HTTP.
    std::size_t mostBody = std::size_t{64} << 10U;
    /// A connection is cut after that, whatever was sent meanwhile.
    Millis longest{15000};
    int connections = 64;     ///< At a time; as many wait, and what comes then is closed.
    int fromOneAddress = 32;  ///< Of those that are served.
};

/// A small HTTP server for clients that are not trusted: one request a connection, a body only
/// with its length, all sizes and times bounded. TLS of at least 1.2. Safe for concurrent use.
class Server {
public:
    /// Called for many requests at a time; must not throw.
    using Handler = std::function<ServerReply(const ServerRequest&)>;

    /// Listens from then on. Throws std::runtime_error where it cannot. `clock` must outlive it.
    Server(const ServerOptions& options, Handler handler, Clock& clock);
    /// Cuts what is under way.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint16_t port() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::http
