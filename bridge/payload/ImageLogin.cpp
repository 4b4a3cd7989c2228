#include "bridge/payload/ImageLogin.h"

#include <Poco/Base64Encoder.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "bridge/gitlab/JsonFields.h"

namespace gridbridge::payload {

namespace {

constexpr std::string_view kHub = "docker.io";

/// `host/group/project`, then each part above it, down to `host`.
std::vector<std::string> placesOf(const std::string& image) {
    auto place = image.substr(0, image.find('@'));
    if (const auto colon = place.rfind(':');
        colon != std::string::npos && colon > place.rfind('/')) {
        place.resize(colon);  // The tag.
    }
    std::vector<std::string> places{place};
    while (place.find('/') != std::string::npos) {
        place.resize(place.rfind('/'));
        places.push_back(place);
    }
    return places;
}

/// As placesOf() has it, of how a login names its registry.
std::string registryOf(std::string url) {
    if (const auto scheme = url.find("://"); scheme != std::string::npos) {
        url.erase(0, scheme + 3);
    }
    for (const std::string_view end : {"/v1/", "/v2/", "/"}) {
        if (url.ends_with(end)) {
            url.resize(url.size() - end.size());
        }
    }
    return url == "index.docker.io" || url == "registry-1.docker.io" ? std::string(kHub) : url;
}

std::string basic(const gitlab::RegistryCredential& login) {
    std::ostringstream text;
    Poco::Base64Encoder encoder(text);
    encoder.rdbuf()->setLineLength(0);
    encoder << login.username << ":" << login.password.reveal();
    encoder.close();
    return text.str();
}

/// Of the variable, which a person wrote: what cannot be understood holds no login.
std::string ofVariable(const std::string& json, const std::string& place) {
    try {
        const auto logins = gitlab::JsonFields::parse(json).object("auths");
        std::vector<std::string> names{place, "https://" + place, "http://" + place};
        if (place == kHub) {
            names.insert(names.end(), {"https://index.docker.io/v1/", "index.docker.io"});
        }
        for (const auto& name : names) {
            if (auto text = logins.object(name).text("auth"); !text.empty()) {
                return text;
            }
        }
    } catch (const gitlab::UnreadableField&) {
        return {};
    }
    return {};
}

bool isBase64(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '+' || c == '/' || c == '=';
    });
}

std::string file(const std::string& place, const std::string& login) {
    return R"({"auths":{")" + place + R"(":{"auth":")" + login + "\"}}}\n";
}

}  // namespace

std::string imageLogin(const gitlab::JobDescription& job, const std::string& image,
                       const Variables& variables) {
    const auto places = placesOf(image);
    const auto config = variables.setting("DOCKER_AUTH_CONFIG");
    for (const auto& place : places) {
        if (const auto login = ofVariable(config, place); !login.empty() && isBase64(login)) {
            return file(place, login);
        }
    }
    for (const auto& place : places) {
        for (const auto& login : job.registryCredentials) {
            if (registryOf(login.url) == place && !login.password.empty()) {
                return file(place, basic(login));
            }
        }
    }
    return {};
}

}  // namespace gridbridge::payload
