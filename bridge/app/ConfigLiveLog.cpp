#include "bridge/app/ConfigLiveLog.h"

#include <stdexcept>

#include "bridge/http/BaseUrl.h"

namespace gridbridge::app {

namespace {

constexpr std::string_view kListen = "live_log_listen";
constexpr std::string_view kUrl = "live_log_url";
constexpr std::string_view kCert = "live_log_cert_file";
constexpr std::string_view kKey = "live_log_key_file";
constexpr std::string_view kCa = "live_log_ca_file";

std::string_view keyOf(http::TlsFault::File file) {
    switch (file) {
        case http::TlsFault::File::Ca:
            return kCa;
        case http::TlsFault::File::Cert:
            return kCert;
        case http::TlsFault::File::Key:
            break;
    }
    return kKey;
}

http::TlsFiles takeFiles(ConfigSection& section) {
    const auto take = [&section](std::string_view key) {
        return section.absolutePath(key).value_or(std::filesystem::path());
    };
    const http::TlsFiles files{take(kCa), take(kCert), take(kKey)};
    if (section.has(kCert) != section.has(kKey)) {
        section.report(section.has(kCert) ? kKey : kCert, "is missing beside the other one",
                       "name the files of both, certificate and key");
    }
    if (const auto fault = http::faultIn(files)) {
        section.report(keyOf(fault->file), fault->what, fault->cure);
    }
    return files;
}

bool isLoopback(const std::string& host) {
    try {
        return host == "localhost" || http::parseListenAddress("[" + host + "]:1").isLoopback;
    } catch (const std::invalid_argument&) {
        return false;  // A name.
    }
}

/// Tokens and logs cross no network in the clear.
void checkWay(ConfigSection& section, const LiveLogConfig& live, const http::BaseUrl& url) {
    if (live.tls.cert.empty() && !live.listen.isLoopback) {
        section.report(kCert, "is missing, and other machines can reach " + std::string(kListen),
                       "name a certificate, or listen at 127.0.0.1 behind a proxy that has one");
    }
    if (!url.tls && !(isLoopback(url.host) && live.listen.isLoopback && live.tls.cert.empty())) {
        section.report(kUrl, "has no TLS, and tokens are sent there", "write https://");
    }
}

}  // namespace

LiveLogConfig takeLiveLog(ConfigSection& section) {
    LiveLogConfig live;
    if (!section.has(kListen) && !section.has(kUrl)) {
        for (const auto key : {kCert, kKey, kCa}) {
            if (section.has(key)) {
                section.report(key, "says nothing without " + std::string(kListen),
                               "remove it, or add " + std::string(kListen));
            }
        }
        return live;
    }
    const auto listen = section.requiredText(kListen, "write where to listen, like 0.0.0.0:9253");
    const auto url = section.requiredText(
        kUrl, "write the address of the receiver for nodes, like https://bridge.example.org:9253");
    live.tls = takeFiles(section);
    auto key = kListen;
    try {
        live.listen = http::parseListenAddress(listen.value_or("127.0.0.1:1"));
        key = kUrl;
        const auto parsed = http::parseBaseUrl(url.value_or("https://localhost"));
        live.url = parsed.text;
        checkWay(section, live, parsed);
    } catch (const std::invalid_argument& e) {
        section.report(key, e.what(), "correct it");
    }
    return live;
}

KeyChanges changesOfLiveLog(const LiveLogConfig& now, const LiveLogConfig& next) {
    return {{".live_log_listen", now.listen != next.listen},
            {".live_log_url", now.url != next.url},
            {".live_log_cert_file", now.tls.cert != next.tls.cert},
            {".live_log_key_file", now.tls.key != next.tls.key},
            {".live_log_ca_file", now.tls.ca != next.tls.ca}};
}

}  // namespace gridbridge::app
