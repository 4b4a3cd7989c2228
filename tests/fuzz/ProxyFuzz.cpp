#include <arpa/inet.h>
#include <stdexcept>
#include <string>

#include "bridge/http/Proxy.h"
#include "tests/fuzz/Fuzz.h"

// Input: the url of a server, a proxy and the list of servers that need none, a line each.

namespace gridbridge::fuzz {

namespace {

constexpr const char* kOfNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

/// Whether the server is reached through the proxy; nothing when that is none.
std::optional<bool> passes(const http::BaseUrl& server, const std::string& proxy,
                           const std::string& list) {
    const http::Environment environment = [&](const std::string& name) {
        return name == "NO_PROXY"                              ? std::optional(list)
               : name == "HTTP_PROXY" || name == "HTTPS_PROXY" ? std::optional(proxy)
                                                               : std::optional<std::string>();
    };
    try {
        const auto found = http::proxyTo(server, environment);
        require(!found || !found->host.empty(), "a proxy has a host");
        return found.has_value();
    } catch (const std::invalid_argument& error) {
        require(isPlain(error.what()), "an error holds nothing of the variable");
        return std::nullopt;
    }
}

std::string otherCase(std::string text) {
    for (char& c : text) {
        const bool lower = c >= 'a' && c <= 'z';
        const bool upper = c >= 'A' && c <= 'Z';
        c = static_cast<char>(lower ? c - 'a' + 'A' : upper ? c - 'A' + 'a' : c);
    }
    return text;
}

}  // namespace

void tryWith(std::string_view input) {
    http::BaseUrl server;
    try {
        server = http::parseBaseUrl(std::string(take(input, '\n')));
    } catch (const std::invalid_argument&) {
        return;
    }
    const std::string proxy(take(input, '\n'));
    const std::string list(input);
    passes(server, proxy, list);
    const std::string good = "http://proxy.example.org:3128";
    const auto through = passes(server, good, list);
    require(through.has_value(), "a list makes no proxy wrong");
    require(passes(server, good, otherCase(list)) == through, "case is not looked at");
    require(passes(server, good, list + ",*") == false, "everything is listed");
    in6_addr address{};
    const bool isSix = ::inet_pton(AF_INET6, server.host.c_str(), &address) == 1;
    if (isSix || server.host.find_first_not_of(kOfNames) == std::string::npos) {
        require(passes(server, good, server.host + "," + list) == false,
                "a server is its own name");
    }
    if (isSix) {
        const auto withPort = "[" + server.host + "]:" + std::to_string(server.port);
        require(passes(server, good, withPort + "," + list) == false, "so it is with its port");
    }
    if (passes(server, good, "") == false) {
        require(through == false, "this machine needs no list");
    } else if (list.find_first_not_of(", \t") == std::string::npos) {
        require(through == true, "nothing is listed");
    }
}

}  // namespace gridbridge::fuzz
