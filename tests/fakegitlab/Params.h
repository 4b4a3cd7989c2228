#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "tests/fakegitlab/Types.h"

namespace gridbridge::fakegitlab {

/// The parameters of one request, from query and body, as Rails sees them.
class Params {
public:
    /// Reads the query, and the body as JSON, or as a form when its Content-Type says so.
    /// `!ok()` when the body is not what it should be.
    explicit Params(const Request& request);

    bool ok() const { return ok_; }
    bool has(const std::string& name) const;
    /// Empty when absent, null or not a scalar.
    std::string text(const std::string& name) const;
    std::optional<std::int64_t> number(const std::string& name) const;
    /// Null when absent or not an object.
    Poco::JSON::Object::Ptr object(const std::string& name) const;
    /// The true ones of `info.features`; nullopt when the object is absent.
    std::optional<std::set<std::string>> features() const;
    const Poco::JSON::Object& json() const { return *json_; }

private:
    bool ok_ = true;
    Poco::JSON::Object::Ptr json_ = new Poco::JSON::Object;
};

/// One parameter of a raw query; nullopt when absent.
std::optional<std::string> queryValue(std::string_view query, std::string_view name);
std::string toText(const Poco::JSON::Object& json);

Reply jsonReply(int status, const std::string& body);
/// {"message":"403 Forbidden - why"} with the status' own name when `why` is empty.
Reply messageReply(int status, const std::string& why = "");
/// 400 {"error":"…"}
Reply missing(const std::string& what);

}  // namespace gridbridge::fakegitlab
