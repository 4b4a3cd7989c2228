#include "backends/arc/ArcParse.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <set>
#include <sstream>

#include "backends/api/SchedulerCommands.h"

namespace gridbridge {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

/// The elements of a list, which may be the only one itself, or absent.
std::vector<Var> elementsOf(const Var& value) {
    if (value.isEmpty()) {
        return {};
    }
    if (value.type() == typeid(Array::Ptr)) {
        const auto list = value.extract<Array::Ptr>();
        return std::vector<Var>(list->begin(), list->end());
    }
    return {value};
}

/// Empty for null, for what is absent, and for what is no text.
std::string lineOf(const Object& object, const std::string& name) {
    const auto value = object.get(name);
    return value.isString() ? lastLineOf(value.extract<std::string>()) : "";
}

void addInformation(const Object& document, ArcEntry& entry) {
    for (const auto& each : elementsOf(document.get("ComputingActivity"))) {
        const auto activity = each.extract<Object::Ptr>();
        entry.name = lineOf(*activity, "Name");
        constexpr std::string_view kOurs = "arcrest:";
        for (const auto& state : elementsOf(activity->get("State"))) {
            const auto text = state.isString() ? state.extract<std::string>() : "";
            if (text.starts_with(kOurs)) {
                entry.told = lastLineOf(text.substr(kOurs.size()));
            }
        }
    }
}

ArcEntry entryOf(const Object& object) {
    const auto id = object.get("id");
    ArcEntry entry{.id = id.isString() ? id.extract<std::string>() : "",
                   .state = lineOf(object, "state"),
                   .reason = lineOf(object, "reason")};
    // Of what was not taken there is none.
    if (object.has("id") && !isArcId(entry.id)) {
        throw Poco::DataFormatException("an id");
    }
    if (object.has("status-code")) {
        const auto status = arcNumber(Var(object.get("status-code")).toString());
        if (!status || *status < 100 || *status > 999) {
            throw Poco::DataFormatException("a status");
        }
        entry.status = static_cast<int>(*status);
    }
    for (const auto& document : elementsOf(object.get("info_document"))) {
        if (!document.isString()) {  // An empty text where there is none.
            addInformation(*document.extract<Object::Ptr>(), entry);
        }
    }
    return entry;
}

std::vector<ArcEntry> entriesOf(const Var& document) {
    const auto object = document.extract<Object::Ptr>();
    if (!object->has("job")) {
        throw Poco::DataFormatException("no jobs");
    }
    std::vector<ArcEntry> entries;
    std::set<std::string> ids;
    for (const auto& each : elementsOf(object->get("job"))) {
        entries.push_back(entryOf(*each.extract<Object::Ptr>()));
        const auto& entry = entries.back();
        if (!entry.id.empty() ? !ids.insert(entry.id).second : entry.status == 0) {
            throw Poco::DataFormatException("a job");
        }
    }
    return entries;
}

std::set<std::string> namesIn(const Object& folder, const std::string& kind) {
    std::set<std::string> names;
    for (const auto& each : elementsOf(folder.get(kind))) {
        names.insert(each.extract<std::string>());
    }
    return names;
}

/// What `read` makes of it; nothing where that makes no sense.
template <class Read>
auto parsed(const std::string& body, const Read& read)
    -> std::optional<decltype(read(std::declval<Var>()))> {
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(12);
        return read(parser.parse(body));
    } catch (const Poco::Exception&) {
        return std::nullopt;
    } catch (const std::bad_cast&) {
        return std::nullopt;
    }
}

}  // namespace

std::optional<std::vector<ArcEntry>> parseArcJobs(const std::string& body) {
    if (body.empty()) {
        return std::vector<ArcEntry>();
    }
    return parsed(body, entriesOf);
}

std::optional<ArcFolder> parseArcFolder(const std::string& body) {
    if (body.empty()) {
        return ArcFolder();
    }
    return parsed(body, [](const Var& document) {
        const auto object = document.extract<Object::Ptr>();
        return ArcFolder{namesIn(*object, "file"), namesIn(*object, "dir")};
    });
}

std::string arcTrouble(const std::string& body) {
    const auto begin = body.find_first_not_of(" \t\r\n");
    if (begin != std::string::npos && body[begin] == '<') {
        return "is a page for people, no JSON: see `url` and what stands before it";
    }
    return "makes no sense, or is cut short";
}

bool isArcId(std::string_view text) {
    constexpr std::size_t kLongest = 128;
    return !text.empty() && text.size() <= kLongest &&
           text.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               "0123456789_-") == std::string_view::npos;
}

ArcFields parseArcFields(const std::string& text) {
    ArcFields fields;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (const auto equals = line.find('='); equals != std::string::npos) {
            fields[line.substr(0, equals)] = lastLineOf(line.substr(equals + 1));
        }
    }
    return fields;
}

std::string arcField(const ArcFields& fields, const std::string& name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
}

std::optional<std::int64_t> arcNumber(const std::string& text) {
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    return read.ptr == end && read.ec == std::errc() ? std::optional(number) : std::nullopt;
}

std::optional<WallTime> arcTime(const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y%m%d%H%M%SZ", &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::optional<Millis> arcDuration(const std::string& text) {
    double seconds = 0;
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, seconds);
    constexpr double kMost = 1e9;
    const bool isOne = read.ec == std::errc() && std::string_view(read.ptr, end) == "s";
    if (!isOne || !(seconds >= 0 && seconds < kMost)) {
        return std::nullopt;
    }
    return std::chrono::round<Millis>(std::chrono::duration<double>(seconds));
}

ArcRange arcRange(const std::string& contentRange) {
    ArcRange range;
    const auto slash = contentRange.find('/');
    if (!contentRange.starts_with("bytes ") || slash == std::string::npos) {
        return range;
    }
    const auto nonNegative = [](const std::string& text) {
        const auto number = arcNumber(text);
        return number && *number >= 0 ? number : std::nullopt;
    };
    range.from = nonNegative(contentRange.substr(6, contentRange.find('-') - 6));
    range.total = nonNegative(contentRange.substr(slash + 1));
    return range;
}

}  // namespace gridbridge
