#include "bridge/app/ConfigTls.h"

#include <stdexcept>

#include "bridge/http/BaseUrl.h"

namespace gridbridge::app {

namespace {

std::string_view keyOf(http::TlsFault::File file) {
    switch (file) {
        case http::TlsFault::File::Ca:
            return "tls_ca_file";
        case http::TlsFault::File::Cert:
            return "tls_cert_file";
        case http::TlsFault::File::Key:
            break;
    }
    return "tls_key_file";
}

}  // namespace

http::TlsFiles takeTls(ConfigSection& section) {
    const auto take = [&section](std::string_view key) {
        return section.absolutePath(key).value_or(std::filesystem::path());
    };
    const http::TlsFiles files{take("tls_ca_file"), take("tls_cert_file"), take("tls_key_file")};
    if (!section.has("tls_key_file") && section.has("tls_cert_file")) {
        section.report("tls_key_file", "is missing beside tls_cert_file",
                       "name the file with the key of that certificate");
    }
    if (!section.has("tls_cert_file") && section.has("tls_key_file")) {
        section.report("tls_cert_file", "is missing beside tls_key_file",
                       "name the file with the certificate of that key");
    }
    if (const auto fault = http::faultIn(files)) {
        section.report(keyOf(fault->file), fault->what, fault->cure);
    }
    return files;
}

std::string takeHttpsUrl(ConfigSection& section, const std::string& missingCure) {
    const auto text = section.requiredText("url", missingCure);
    try {
        if (text && !http::parseBaseUrl(*text).tls) {
            section.report("url", "has no TLS, and tokens are sent there", "write https://");
        }
    } catch (const std::invalid_argument& e) {
        section.report("url", e.what(), "write it as https://HOST");
    }
    return text.value_or("");
}

}  // namespace gridbridge::app
