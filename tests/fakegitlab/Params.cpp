#include "tests/fakegitlab/Params.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/URI.h>

#include <sstream>

namespace gridbridge::fakegitlab {

namespace {

Poco::URI::QueryParameters parametersOf(std::string_view query) {
    Poco::URI uri;
    uri.setRawQuery(std::string(query));
    return uri.getQueryParameters();
}

}  // namespace

Params::Params(const Request& request) {
    const bool form = request.header("content-type").starts_with("application/x-www-form");
    try {
        if (!form && !request.body.empty()) {
            Poco::JSON::Parser parser;
            json_ = parser.parse(request.body).extract<Poco::JSON::Object::Ptr>();
        }
        for (const auto& part : {std::string_view(request.query),
                                 form ? std::string_view(request.body) : std::string_view()}) {
            for (const auto& [name, value] : parametersOf(part)) {
                json_->set(name, value);
            }
        }
    } catch (const Poco::Exception&) {
        ok_ = false;
        json_ = new Poco::JSON::Object;
    }
}

bool Params::has(const std::string& name) const {
    return json_->has(name) && !json_->isNull(name);
}

std::string Params::text(const std::string& name) const {
    const auto value = json_->get(name);
    if (value.isEmpty() || value.isStruct() || json_->isArray(name) || json_->isObject(name)) {
        return {};
    }
    return value.toString();
}

std::optional<std::int64_t> Params::number(const std::string& name) const {
    const auto value = json_->get(name);
    if (value.isEmpty() || !(value.isNumeric() || value.isString())) {
        return std::nullopt;
    }
    try {
        return value.convert<std::int64_t>();
    } catch (const Poco::Exception&) {
        return std::nullopt;
    }
}

Poco::JSON::Object::Ptr Params::object(const std::string& name) const {
    return json_->getObject(name);
}

std::optional<std::set<std::string>> Params::features() const {
    const auto info = object("info");
    const auto features = info.isNull() ? info : info->getObject("features");
    if (features.isNull()) {
        return std::nullopt;
    }
    std::set<std::string> result;
    for (const auto& [name, value] : *features) {
        if (value.isBoolean() && value.convert<bool>()) {
            result.insert(name);
        }
    }
    return result;
}

std::optional<std::string> queryValue(std::string_view query, std::string_view name) {
    for (const auto& [key, value] : parametersOf(query)) {
        if (key == name) {
            return value;
        }
    }
    return std::nullopt;
}

std::string toText(const Poco::JSON::Object& json) {
    std::ostringstream out;
    json.stringify(out);
    return out.str();
}

Reply jsonReply(int status, const std::string& body) {
    Reply reply;
    reply.status = status;
    reply.headers.emplace_back("Content-Type", "application/json");
    reply.body = body;
    return reply;
}

Reply messageReply(int status, const std::string& why) {
    const auto name = Poco::Net::HTTPResponse::getReasonForStatus(
        static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    Poco::JSON::Object body;
    body.set("message",
             std::to_string(status) + " " + name + (why.empty() ? std::string() : " - " + why));
    return jsonReply(status, toText(body));
}

Reply missing(const std::string& what) {
    Poco::JSON::Object body;
    body.set("error", what);
    return jsonReply(400, toText(body));
}

}  // namespace gridbridge::fakegitlab
