#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace gridbridge::gitlab {

/// A field of a JSON text that cannot be understood; `what()` names it and carries no value.
class UnreadableField : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Lenient reading of one JSON object: null and absent fields give the default, unknown ones are
/// not looked at, numbers and booleans serve as texts. Anything else, and whatever is too long,
/// throws UnreadableField. One thread at a time.
class JsonFields {
public:
    static constexpr std::size_t kShort = std::size_t{16} << 10U;
    static constexpr std::size_t kLong = std::size_t{16} << 20U;

    /// `name` is how errors call the object; empty at the top. A null `object` has no fields.
    explicit JsonFields(Poco::JSON::Object::Ptr object, std::string name = {});
    /// Parses `text`, which must be one object.
    static JsonFields parse(std::string_view text);

    std::string text(const std::string& key, std::size_t limit = kShort) const;
    bool flag(const std::string& key, bool otherwise) const;
    std::int64_t number(const std::string& key, std::int64_t otherwise) const;
    /// One text counts as a list of one; null elements are left out.
    std::vector<std::string> texts(const std::string& key, std::size_t limit = kShort) const;
    JsonFields object(const std::string& key) const;
    std::vector<JsonFields> objects(const std::string& key) const;
    /// Neither null nor an empty text, list or object.
    bool filled(const std::string& key) const;
    /// The object as compact JSON.
    std::string json() const;
    bool isText(const std::string& key) const;
    bool isObject(const std::string& key) const;
    [[noreturn]] void refuse(const std::string& key, const std::string& why) const;

private:
    Poco::Dynamic::Var value(const std::string& key) const;
    std::string toText(const std::string& key, const Poco::Dynamic::Var& from,
                       std::size_t limit) const;

    Poco::JSON::Object::Ptr object_;
    std::string name_;
};

}  // namespace gridbridge::gitlab
