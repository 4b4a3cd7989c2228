#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tests/fakegitlab/Types.h"

namespace gridbridge::fakegitlab {

/// HTTP/1.1 on 127.0.0.1 in own threads. Connections are cut exactly where a Reply says so.
class Server {
public:
    using Handler = std::function<Reply(const Request&)>;

    /// Listens when it returns; `port` 0 = the system chooses. `handler` is called from many
    /// threads. Idle connections are closed after `keepAlive`. Multipart bodies come as
    /// Request::upload, with files of up to `keep` bytes.
    /// Throws Poco::Exception when the port is taken or the files of `tls` cannot be used.
    Server(Handler handler, std::uint16_t port, Millis keepAlive, std::uint64_t keep,
           const ServerTls& tls = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint16_t port() const;
    /// While away, new connections are closed at once.
    void setAway(bool away);
    /// New connections get the certificate and key that the files of `tls` hold now.
    void renewCertificate();
    /// Returns once all that connected before this call is accepted.
    void takeUpAll();
    /// Whether every accepted connection has been served and is closed.
    bool isAlone() const;
    /// Ends delayed answers early; the destructor waits for all handlers.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::fakegitlab
