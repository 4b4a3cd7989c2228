#include "bridge/http/TlsFiles.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <unistd.h>

namespace gridbridge::http {

namespace {

using std::filesystem::path;

constexpr auto kCaCure = "name a readable file with certificates in PEM form";
constexpr auto kCertCure = "name a readable file with the certificate in PEM form";
constexpr auto kKeyCure =
    "name a readable file with the private key of the certificate in PEM form, without a "
    "passphrase";

std::string unreadable(const path& file) {
    return ::access(file.c_str(), R_OK) == 0
               ? ""
               : file.string() + " cannot be read: " + std::generic_category().message(errno);
}

bool isOpenToAll(const path& file) {
    std::error_code ignored;
    const auto mode = std::filesystem::status(file, ignored).permissions();
    return (mode & std::filesystem::perms::others_read) != std::filesystem::perms::none;
}

std::optional<TlsFault> faultInPair(SSL_CTX* context, const path& cert, const path& key) {
    using enum TlsFault::File;
    if (auto why = unreadable(cert); !why.empty()) {
        return TlsFault{Cert, std::move(why), kCertCure};
    }
    if (auto why = unreadable(key); !why.empty()) {
        return TlsFault{Key, std::move(why), kKeyCure};
    }
    if (isOpenToAll(key)) {
        return TlsFault{Key, key.string() + " can be read by every account",
                        "run chmod 600 " + key.string()};
    }
    if (::SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1) {
        return TlsFault{Cert, cert.string() + " holds no certificate in PEM form", kCertCure};
    }
    if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1) {
        return std::nullopt;
    }
    const auto error = ::ERR_peek_last_error();
    const bool another = ERR_GET_LIB(error) == ERR_LIB_X509 &&
                         (ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH ||
                          ERR_GET_REASON(error) == X509_R_KEY_TYPE_MISMATCH);
    return TlsFault{Key,
                    another
                        ? key.string() + " is not the key of the certificate in " + cert.string()
                        : key.string() + " holds no private key that can be used",
                    kKeyCure};
}

std::optional<TlsFault> faultIn(SSL_CTX* context, const TlsFiles& files) {
    if (!files.ca.empty()) {
        if (auto why = unreadable(files.ca); !why.empty()) {
            return TlsFault{TlsFault::File::Ca, std::move(why), kCaCure};
        }
        if (::SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1) {
            return TlsFault{TlsFault::File::Ca,
                            files.ca.string() + " holds no certificates in PEM form", kCaCure};
        }
    }
    return files.cert.empty() || files.key.empty() ? std::nullopt
                                                   : faultInPair(context, files.cert, files.key);
}

}  // namespace

std::optional<TlsFault> faultIn(const TlsFiles& files) {
    const std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context(
        ::SSL_CTX_new(::TLS_client_method()), ::SSL_CTX_free);
    // Else OpenSSL asks the terminal for a passphrase.
    ::SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return 0; });
    auto fault = faultIn(context.get(), files);
    ::ERR_clear_error();
    return fault;
}

}  // namespace gridbridge::http
