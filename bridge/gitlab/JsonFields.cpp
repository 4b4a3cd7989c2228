#include "bridge/gitlab/JsonFields.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Parser.h>

#include <charconv>
#include <sstream>

namespace gridbridge::gitlab {

namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostItems = 20'000;

}  // namespace

JsonFields::JsonFields(Object::Ptr object, std::string name)
    : object_(std::move(object)), name_(std::move(name)) {}

JsonFields JsonFields::parse(std::string_view text) {
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(kDeepest);
        return JsonFields(parser.parse(std::string(text)).extract<Object::Ptr>());
    } catch (const Poco::Exception&) {
        throw UnreadableField("it is not one JSON object");
    }
}

void JsonFields::refuse(const std::string& key, const std::string& why) const {
    throw UnreadableField((name_.empty() ? key : name_ + "." + key) + " " + why);
}

Var JsonFields::value(const std::string& key) const {
    return object_.isNull() ? Var() : object_->get(key);
}

std::string JsonFields::toText(const std::string& key, const Var& from, std::size_t limit) const {
    if (!from.isString() && !from.isNumeric() && !from.isBoolean()) {
        refuse(key, "is not a text");
    }
    auto result = from.convert<std::string>();
    if (result.size() > limit) {
        refuse(key, "is longer than " + std::to_string(limit) + " bytes");
    }
    return result;
}

std::string JsonFields::text(const std::string& key, std::size_t limit) const {
    const auto found = value(key);
    return found.isEmpty() ? std::string() : toText(key, found, limit);
}

bool JsonFields::flag(const std::string& key, bool otherwise) const {
    const auto found = value(key);
    if (found.isEmpty()) {
        return otherwise;
    }
    if (!found.isBoolean()) {
        refuse(key, "is neither true nor false");
    }
    return found.convert<bool>();
}

std::int64_t JsonFields::number(const std::string& key, std::int64_t otherwise) const {
    const auto found = value(key);
    if (found.isEmpty()) {
        return otherwise;
    }
    if (found.isBoolean() || (!found.isNumeric() && !found.isString())) {
        refuse(key, "is not a number");
    }
    try {
        if (!found.isString()) {
            return found.convert<Poco::Int64>();
        }
    } catch (const Poco::Exception&) {
        refuse(key, "is not a 64-bit number");
    }
    const auto digits = found.convert<std::string>();
    std::int64_t result = 0;
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, result);
    if (error != std::errc{} || stop != end) {
        refuse(key, "is not a number");
    }
    return result;
}

std::vector<std::string> JsonFields::texts(const std::string& key, std::size_t limit) const {
    const auto found = value(key);
    if (found.isEmpty()) {
        return {};
    }
    if (found.isString()) {
        return {toText(key, found, limit)};
    }
    if (found.type() != typeid(Array::Ptr)) {
        refuse(key, "is not a list");
    }
    const auto list = found.extract<Array::Ptr>();
    if (list->size() > kMostItems) {
        refuse(key, "has more than " + std::to_string(kMostItems) + " elements");
    }
    std::vector<std::string> result;
    result.reserve(list->size());
    for (const auto& each : *list) {
        if (!each.isEmpty()) {
            result.push_back(toText(key, each, limit));
        }
    }
    return result;
}

JsonFields JsonFields::object(const std::string& key) const {
    const auto found = value(key);
    if (found.isEmpty()) {
        return JsonFields(nullptr, key);
    }
    if (found.type() != typeid(Object::Ptr)) {
        refuse(key, "is not an object");
    }
    return JsonFields(found.extract<Object::Ptr>(), name_.empty() ? key : name_ + "." + key);
}

std::vector<JsonFields> JsonFields::objects(const std::string& key) const {
    const auto found = value(key);
    if (found.isEmpty()) {
        return {};
    }
    if (found.type() != typeid(Array::Ptr)) {
        refuse(key, "is not a list");
    }
    const auto list = found.extract<Array::Ptr>();
    if (list->size() > kMostItems) {
        refuse(key, "has more than " + std::to_string(kMostItems) + " elements");
    }
    std::vector<JsonFields> result;
    for (std::size_t i = 0; i < list->size(); ++i) {
        const auto each = list->get(static_cast<unsigned>(i));
        if (each.isEmpty()) {
            continue;
        }
        const auto name = key + "[" + std::to_string(i) + "]";
        if (each.type() != typeid(Object::Ptr)) {
            refuse(name, "is not an object");
        }
        result.emplace_back(each.extract<Object::Ptr>(), name_.empty() ? name : name_ + "." + name);
    }
    return result;
}

bool JsonFields::filled(const std::string& key) const {
    const auto found = value(key);
    if (found.type() == typeid(Array::Ptr)) {
        return found.extract<Array::Ptr>()->size() > 0;
    }
    if (found.type() == typeid(Object::Ptr)) {
        return found.extract<Object::Ptr>()->size() > 0;
    }
    return !found.isEmpty() && !(found.isString() && found.extract<std::string>().empty());
}

std::string JsonFields::json() const {
    std::ostringstream text;
    if (!object_.isNull()) {
        object_->stringify(text);
    }
    return text.str();
}

bool JsonFields::isText(const std::string& key) const {
    return value(key).isString();
}

bool JsonFields::isObject(const std::string& key) const {
    return value(key).type() == typeid(Object::Ptr);
}

}  // namespace gridbridge::gitlab
