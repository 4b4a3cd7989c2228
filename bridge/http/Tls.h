#pragma once

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>

#include <stdexcept>
#include <string>

#include "bridge/http/TlsFiles.h"

namespace gridbridge::http {

/// TLS of at least 1.2 that checks the server's certificate. Throws std::invalid_argument when the
/// files cannot be used.
Poco::Net::Context::Ptr tlsContext(const TlsFiles& files);

inline constexpr auto kCertificateWanted =
    "; the server asks for a certificate of this client, name it in tls_cert_file and tls_key_file";

/// A person has to change something; `what()` is one sentence with its cure.
class Misconfigured : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

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
    /// Throws why it failed, for people: Misconfigured, or std::runtime_error for what passes.
    [[noreturn]] void fail(const Poco::Exception& problem, const std::string& host) const;
};

}  // namespace gridbridge::http
