#pragma once

#include <memory>
#include <string>

#include "bridge/http/Proxy.h"
#include "bridge/http/TlsFiles.h"
#include "bridge/http/Transport.h"

namespace gridbridge::http {

struct TransportOptions {
    TlsFiles tls = {};
    Environment environment = processEnvironment();  ///< Where proxies are named.
};

/// Transport over Poco: HTTP/1.1 and TLS of at least 1.2, with a few kept connections, through the
/// proxy that the environment names. Only name resolution may outlast a deadline or a stop; every
/// other wait ends within about a second.
class PocoTransport final : public Transport {
public:
    /// `url`: http or https, with a relative root if there is one. `clock` must outlive this.
    /// Throws std::invalid_argument, without any secret, when `url` or an option is unusable.
    PocoTransport(const std::string& url, const Clock& clock, std::string userAgent,
                  const TransportOptions& options = {});
    ~PocoTransport() override;
    PocoTransport(const PocoTransport&) = delete;
    PocoTransport& operator=(const PocoTransport&) = delete;

    Result<Response> send(const CallContext& ctx, const Request& request) override;
    const std::string& baseUrl() const override;
    Result<std::unique_ptr<Transport>> to(const std::string& url) const override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::http
