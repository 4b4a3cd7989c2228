#include "backends/diraccli/DiracProxy.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <sys/stat.h>

#include "backends/api/SchedulerCommands.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge {
namespace {

template <auto release>
struct Releases {
    template <typename T>
    void operator()(T* object) const {
        release(object);
    }
};
using Certificate = std::unique_ptr<X509, Releases<X509_free>>;
using Memory = std::unique_ptr<BIO, Releases<BIO_free>>;
using Identifier = std::unique_ptr<ASN1_OBJECT, Releases<ASN1_OBJECT_free>>;

/// What OpenSSL says of a failure is for nobody.
Certificate next(BIO* from) {
    auto certificate = Certificate(PEM_read_bio_X509(from, nullptr, nullptr, nullptr));
    ERR_clear_error();
    return certificate;
}

std::optional<WallTime> endOf(const X509* certificate) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
        return std::nullopt;
    }
    return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string subjectOf(const X509* certificate) {
    std::array<char, 500> text{};
    X509_NAME_oneline(X509_get_subject_name(certificate), text.data(),
                      static_cast<int>(text.size()));
    return lastLineOf(text.data());
}

/// An IA5String in the extension's octets.
std::string groupOf(const X509* certificate) {
    const Identifier kind(OBJ_txt2obj("1.2.42.42", 1));
    const int at = X509_get_ext_by_OBJ(certificate, kind.get(), -1);
    if (at < 0) {
        return "";
    }
    const auto* const octets = X509_EXTENSION_get_data(X509_get_ext(certificate, at));
    const unsigned char* from = ASN1_STRING_get0_data(octets);
    const std::unique_ptr<ASN1_IA5STRING, Releases<ASN1_IA5STRING_free>> text(
        d2i_ASN1_IA5STRING(nullptr, &from, ASN1_STRING_length(octets)));
    ERR_clear_error();
    if (!text) {
        return "";
    }
    const unsigned char* const bytes = ASN1_STRING_get0_data(text.get());
    return lastLineOf({reinterpret_cast<const char*>(bytes),
                       static_cast<std::size_t>(ASN1_STRING_length(text.get()))});
}

Error wrong(const std::filesystem::path& file, const std::string& what, const std::string& group) {
    return {ErrorKind::Transient,
            "the proxy " + file.string() + " " + what + ": make one with dirac-proxy-init -g " +
                (group.empty() ? "GROUP" : group),
            true};
}

}  // namespace

std::optional<DiracProxy> parseDiracProxy(std::string_view pem) {
    const Memory from(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    DiracProxy proxy;
    proxy.end = WallTime::max();
    constexpr int kMostCertificates = 20;
    for (int i = 0; i < kMostCertificates; ++i) {
        const auto certificate = next(from.get());
        const auto end = certificate ? endOf(certificate.get()) : std::nullopt;
        if (!end) {
            return std::nullopt;
        }
        proxy.end = std::min(proxy.end, *end);
        if (proxy.group.empty()) {
            proxy.group = groupOf(certificate.get());
        }
        if ((X509_get_extension_flags(certificate.get()) & EXFLAG_PROXY) == 0) {
            proxy.user = subjectOf(certificate.get());
            return i > 0 ? std::optional(proxy) : std::nullopt;
        }
    }
    return std::nullopt;
}

Result<DiracProxy> readDiracProxy(const std::filesystem::path& file, const std::string& group,
                                  WallTime now) {
    constexpr std::size_t kLongest = std::size_t{1} << 20U;
    auto content = readSmallFile(file, kLongest);
    if (!content) {
        return wrong(file, content.error().message, group);
    }
    if ((content->mode & (S_IRGRP | S_IROTH)) != 0) {
        return wrong(file, "can be read by other accounts, who may have it by now", group);
    }
    auto text = std::move(content).value().text;
    auto proxy = parseDiracProxy(text);
    if (!proxy) {
        return wrong(file, "is no proxy with its certificates", group);
    }
    if (proxy->end <= now) {
        return wrong(file, "has ended", group);
    }
    if (proxy->group.empty() || (!group.empty() && proxy->group != group)) {
        return wrong(file,
                     proxy->group.empty() ? "has no DIRAC group"
                                          : "is of the group " + proxy->group + ", not " + group,
                     group);
    }
    proxy->pem = Secret(std::move(text));
    return *proxy;
}

}  // namespace gridbridge
