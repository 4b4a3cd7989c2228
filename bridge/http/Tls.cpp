#include "bridge/http/Tls.h"

#include <Poco/Delegate.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/SSLManager.h>
#include <Poco/Net/VerificationErrorArgs.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <mutex>
#include <stdexcept>

namespace gridbridge::http {

namespace {

/// Of the handshake of this thread.
struct Seen {
    int fault = X509_V_OK;  ///< With the server's certificate.
    bool certificateWanted = false;
};
thread_local Seen seen;

void note(const void*, Poco::Net::VerificationErrorArgs& fault) {
    seen.fault = fault.errorNumber();
}

int noCertificate(SSL*, X509**, EVP_PKEY**) {
    seen.certificateWanted = true;
    return 0;
}

/// What to do about a certificate with this fault.
std::string cureOf(int fault) {
    switch (fault) {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return "name the file of its authority in tls_ca_file (register: --tls-ca-file; "
                   "register-runner: the variable SSL_CERT_FILE)";
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return "have it renewed there";
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "correct the clock of this machine, or have it renewed there";
        default:
            return "have it replaced there";
    }
}

}  // namespace

Poco::Net::Context::Ptr tlsContext(const TlsFiles& files) {
    if (const auto fault = faultIn(files)) {
        throw std::invalid_argument(fault->what + "; " + fault->cure);
    }
    static std::once_flag once;
    std::call_once(once, [] {
        Poco::Net::SSLManager::instance().ClientVerificationError += Poco::delegate(&note);
    });
    Poco::Net::Context::Ptr context = new Poco::Net::Context(
        Poco::Net::Context::TLS_CLIENT_USE, files.key.string(), files.cert.string(),
        files.ca.string(), Poco::Net::Context::VERIFY_STRICT, 9, true);
    context->requireMinimumProtocol(Poco::Net::Context::PROTO_TLSV1_2);
    ::SSL_CTX_set_client_cert_cb(context->sslContext(), &noCertificate);
    return context;
}

Handshake::Handshake() {
    seen = {};
}

Handshake::~Handshake() {
    seen = {};
}

bool Handshake::certificateWanted() const {
    return seen.certificateWanted;
}

void Handshake::fail(const Poco::Exception& problem, const std::string& host) const {
    if (seen.fault != X509_V_OK) {
        throw Misconfigured("the certificate of " + host +
                            " is refused: " + ::X509_verify_cert_error_string(seen.fault) + "; " +
                            cureOf(seen.fault));
    }
    if (dynamic_cast<const Poco::Net::CertificateValidationException*>(&problem) != nullptr) {
        throw Misconfigured("the certificate that the server shows is not one for " + host +
                            "; write its address as in the certificate");
    }
    // What OpenSSL says of bytes that are no TLS, as those of a plain HTTP server.
    if (problem.displayText().find("wrong version number") != std::string::npos) {
        throw Misconfigured(host +
                            " does not speak TLS at this port; write http:// in the url, or the "
                            "port of https");
    }
    if (seen.certificateWanted) {
        throw Misconfigured(problem.displayText() + kCertificateWanted);
    }
    throw std::runtime_error(problem.displayText());
}

}  // namespace gridbridge::http
