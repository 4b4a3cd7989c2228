#include "tests/fakes/TestCertificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace gridbridge::testing {

namespace {

void require(bool done) {
    if (!done) {
        throw std::runtime_error("cannot make a test certificate");
    }
}

void add(X509* certificate, int kind, const std::string& value) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), X509_EXTENSION_free);
    require(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<FILE, int (*)(FILE*)>;

template <typename Write>
void writeTo(const std::filesystem::path& path, const Write& write) {
    File file(std::fopen(path.c_str(), "w"), std::fclose);
    require(file && write(file.get()) == 1);
}

template <typename Read>
auto readFrom(const std::filesystem::path& path, const Read& read) {
    File file(std::fopen(path.c_str(), "r"), std::fclose);
    require(file != nullptr);
    return read(file.get());
}

void setName(X509* certificate, const std::string& text) {
    const std::basic_string<unsigned char> common(text.begin(), text.end());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               common.c_str(), -1, -1, 0);
}

void sign(X509* certificate, EVP_PKEY* own, const CertificateFiles* authority) {
    if (authority == nullptr) {
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
        require(X509_sign(certificate, own, EVP_sha256()) > 0);
        return;
    }
    const Certificate issuer(
        readFrom(authority->certificate,
                 [](FILE* file) { return PEM_read_X509(file, nullptr, nullptr, nullptr); }),
        X509_free);
    const Key key(
        readFrom(authority->key,
                 [](FILE* file) { return PEM_read_PrivateKey(file, nullptr, nullptr, nullptr); }),
        EVP_PKEY_free);
    require(issuer && key);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get()));
    require(X509_sign(certificate, key.get(), EVP_sha256()) > 0);
}

}  // namespace

void writeCertificate(const std::string& names, const CertificateFiles& files,
                      const CertificateFiles* authority, std::chrono::seconds life) {
    const Key pair(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const Certificate made(X509_new(), X509_free);
    require(pair && made);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), authority == nullptr ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), life.count());
    X509_set_pubkey(made.get(), pair.get());
    setName(made.get(), authority == nullptr ? "gridbridge test" : "signed by gridbridge test");
    add(made.get(), NID_subject_alt_name, names);
    if (authority == nullptr) {
        add(made.get(), NID_basic_constraints, "critical,CA:TRUE");
    }
    sign(made.get(), pair.get(), authority);
    writeTo(files.certificate, [&](FILE* file) { return PEM_write_X509(file, made.get()); });
    writeTo(files.key, [&](FILE* file) {
        return PEM_write_PrivateKey(file, pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    std::filesystem::permissions(files.key, std::filesystem::perms(0600));
}

}  // namespace gridbridge::testing
