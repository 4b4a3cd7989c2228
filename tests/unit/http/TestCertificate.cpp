#include "tests/unit/http/TestCertificate.h"

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

template <typename Write>
void writeTo(const std::filesystem::path& path, const Write& write) {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "w"), std::fclose);
    require(file && write(file.get()) == 1);
}

}  // namespace

void writeCertificate(const std::string& names, const std::filesystem::path& certificate,
                      const std::filesystem::path& key) {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(EVP_EC_gen("P-256"), EVP_PKEY_free);
    std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
    require(pair && made);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 86400);
    X509_set_pubkey(made.get(), pair.get());
    const std::string text = "gridbridge test";
    const std::basic_string<unsigned char> common(text.begin(), text.end());
    auto* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common.c_str(), -1, -1, 0);
    X509_set_issuer_name(made.get(), name);
    add(made.get(), NID_subject_alt_name, names);
    add(made.get(), NID_basic_constraints, "critical,CA:TRUE");
    require(X509_sign(made.get(), pair.get(), EVP_sha256()) > 0);
    writeTo(certificate, [&](FILE* file) { return PEM_write_X509(file, made.get()); });
    writeTo(key, [&](FILE* file) {
        return PEM_write_PrivateKey(file, pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

}  // namespace gridbridge::testing
