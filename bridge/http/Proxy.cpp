#include "bridge/http/Proxy.h"

#include <Poco/Exception.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/String.h>
#include <Poco/StringTokenizer.h>
#include <Poco/URI.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace gridbridge::http {

namespace {

using Poco::Net::IPAddress;

constexpr std::uint16_t kUsualPort = 80;

std::string decoded(const std::string& text) {
    std::string result;
    Poco::URI::decode(text, result);
    return result;
}

/// The first of the two spellings that has a value: its name and the value.
std::pair<std::string, std::string> valueOf(const Environment& environment,
                                            const std::string& name) {
    for (const auto& spelling : {name, Poco::toLower(name)}) {
        if (auto value = environment(spelling); value && !value->empty()) {
            return {spelling, std::move(*value)};
        }
    }
    return {};
}

Proxy parsed(const std::string& variable, const std::string& value) {
    const auto unusable = [&variable](const std::string& why) {
        return std::invalid_argument("the environment variable " + variable + " " + why +
                                     "; write it like http://proxy.example.org:3128");
    };
    Poco::URI uri;
    Proxy proxy;
    try {
        uri = Poco::URI(value.find("://") == std::string::npos ? "http://" + value : value);
        const auto& account = uri.getUserInfo();
        const auto colon = std::min(account.find(':'), account.size());
        proxy.user = decoded(account.substr(0, colon));
        proxy.password = Secret(decoded(account.substr(std::min(colon + 1, account.size()))));
    } catch (const Poco::Exception&) {
        throw unusable("names no proxy");
    }
    if (uri.getHost().empty()) {
        throw unusable("names no proxy");
    }
    if (uri.getScheme() != "http") {
        throw unusable("names a proxy of a kind that is not supported");
    }
    proxy.host = uri.getHost();
    proxy.port = uri.getPort() == 0 ? kUsualPort : uri.getPort();
    const bool bracketed = proxy.host.find(':') != std::string::npos;
    proxy.authority =
        (bracketed ? "[" + proxy.host + "]" : proxy.host) + ":" + std::to_string(proxy.port);
    proxy.variable = variable;
    return proxy;
}

/// One element of NO_PROXY, cut into host and port; the port may be empty.
std::pair<std::string, std::string> cut(const std::string& element) {
    const auto colon = element.rfind(':');
    const bool bracketed = element.starts_with('[');
    if (colon == std::string::npos || (!bracketed && element.find(':') != colon) ||
        (bracketed && element[colon - 1] != ']')) {
        return {element, ""};
    }
    return {bracketed ? element.substr(1, colon - 2) : element.substr(0, colon),
            element.substr(colon + 1)};
}

bool isInNetwork(const IPAddress& address, const std::string& network) {
    const auto slash = network.find('/');
    const auto bits = network.substr(slash + 1);
    IPAddress base;
    if (!IPAddress::tryParse(network.substr(0, slash), base) || base.family() != address.family() ||
        bits.empty() || bits.size() > 3 ||
        !std::all_of(bits.begin(), bits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return false;
    }
    const auto length = static_cast<unsigned>(std::stoul(bits));
    if (length > static_cast<unsigned>(address.length()) * 8) {
        return false;
    }
    const IPAddress mask(length, address.family());
    return (address & mask) == (base & mask);
}

/// `.example.org` and `*.example.org` stand for what is below, `example.org` for itself too.
bool isInDomain(const std::string& host, std::string domain) {
    if (domain.starts_with("*.")) {
        domain.erase(0, 1);
    }
    return domain.starts_with('.') ? host.ends_with(domain)
                                   : host == domain || host.ends_with("." + domain);
}

bool isListed(const BaseUrl& server, const std::string& list) {
    const auto host = Poco::toLower(server.host);
    IPAddress address;
    const bool numeric = IPAddress::tryParse(host, address);
    const Poco::StringTokenizer elements(
        Poco::toLower(list), ",",
        Poco::StringTokenizer::TOK_TRIM | Poco::StringTokenizer::TOK_IGNORE_EMPTY);
    return std::any_of(elements.begin(), elements.end(), [&](const std::string& element) {
        if (element == "*") {
            return true;
        }
        if (numeric && element.find('/') != std::string::npos) {
            return isInNetwork(address, element);
        }
        const auto [name, port] = cut(element);
        if (name.empty() || (!port.empty() && port != std::to_string(server.port))) {
            return false;
        }
        IPAddress other;
        return IPAddress::tryParse(name, other) ? numeric && other == address
                                                : isInDomain(host, name);
    });
}

bool isThisMachine(const std::string& host) {
    IPAddress address;
    return Poco::toLower(host) == "localhost" ||
           (IPAddress::tryParse(host, address) && address.isLoopback());
}

}  // namespace

Environment processEnvironment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
}

std::string refusalOf(const Proxy& proxy, int status) {
    const auto name = "the proxy " + proxy.authority;
    if (status != 407) {
        return name + " answers " + std::to_string(status) +
               "; see to it, or list the server in no_proxy";
    }
    return proxy.user.empty()
               ? name + " wants a name and a password; write them into " + proxy.variable +
                     ", as http://NAME:PASSWORD@" + proxy.authority
               : name + " refuses the name and the password; correct them in " + proxy.variable;
}

std::optional<Proxy> proxyTo(const BaseUrl& server, const Environment& environment) {
    const auto [variable, value] = valueOf(environment, server.tls ? "HTTPS_PROXY" : "HTTP_PROXY");
    if (value.empty() || isThisMachine(server.host) ||
        isListed(server, valueOf(environment, "NO_PROXY").second)) {
        return std::nullopt;
    }
    return parsed(variable, value);
}

}  // namespace gridbridge::http
