#pragma once

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>

#include <string>

#include "bridge/http/TlsFiles.h"

namespace gridbridge::http {

/// TLS of at least 1.2 that checks the server's certificate. Throws std::invalid_argument when the
/// files cannot be used.
Poco::Net::Context::Ptr tlsContext(const TlsFiles& files);

/// What goes on in the handshakes of this thread while it exists: Poco and OpenSSL tell the one
/// who asked only that it failed. One at a time.
class Handshake {
public:
    Handshake();
    ~Handshake();
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;

    /// The server asked for a certificate of the client, and there was none.
    bool certificateWanted() const;
    /// Why it failed, for people.
    std::string explain(const Poco::Exception& problem, const std::string& host) const;
};

}  // namespace gridbridge::http
