#include "backends/diraccli/DiracCliParse.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "backends/api/SchedulerCommands.h"

namespace gridbridge {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

std::vector<std::string> linesOf(const std::string& out) {
    std::vector<std::string> lines;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// A log line may begin with a bracket too, but not so.
bool isList(const std::string& line) {
    return line == "[]" || (line.starts_with("[{") && line.ends_with("}]"));
}

/// What `read` makes of each object of such a line; nothing also where it throws.
template <typename T, typename Read>
std::optional<std::vector<T>> listIn(const std::string& line, Read read) {
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(4);
        std::vector<T> all;
        for (const auto& each : *parser.parse(line).extract<Array::Ptr>()) {
            all.push_back(read(*each.extract<Object::Ptr>()));
        }
        return all;
    } catch (const Poco::Exception&) {
        return std::nullopt;
    } catch (const std::bad_cast&) {
        return std::nullopt;
    }
}

/// Empty for null; what is absent is an error, for it was asked for.
std::string textOf(const Object& object, const std::string& name) {
    if (!object.has(name)) {
        throw Poco::DataFormatException(name);
    }
    const auto value = object.get(name);
    return value.isEmpty() ? "" : lastLineOf(value.extract<std::string>());
}

std::int64_t numberOf(const Object& object, const std::string& name) {
    const auto value = object.get(name);
    if (!value.isInteger()) {
        throw Poco::DataFormatException(name);
    }
    return value.convert<Poco::Int64>();
}

DiracxJob jobOf(const Object& object) {
    DiracxJob job;
    job.id = numberOf(object, "JobID");
    job.name = textOf(object, "JobName");
    job.status = textOf(object, "Status");
    job.minor = textOf(object, "MinorStatus");
    job.application = textOf(object, "ApplicationStatus");
    job.site = textOf(object, "Site");
    // Null before a job was ever put back.
    const bool never = object.isNull("RescheduleCounter") && object.has("RescheduleCounter");
    const auto count = never ? 0 : numberOf(object, "RescheduleCounter");
    job.reschedules = static_cast<int>(std::clamp<std::int64_t>(count, 0, 1000));
    if (job.id <= 0 || job.status.empty()) {
        throw Poco::DataFormatException("a job without id or state");
    }
    return job;
}

/// `2026-12-01 00:41:00.241698`, or without a fraction; UTC.
DiracxEvent eventOf(const Object& object) {
    auto time = textOf(object, "Time");
    std::replace(time.begin(), time.end(), ' ', 'T');
    const auto at = diracxTime(time + "Z");
    if (!at) {
        throw Poco::DataFormatException("Time");
    }
    return {textOf(object, "Status"), textOf(object, "MinorStatus"),
            textOf(object, "ApplicationStatus"), textOf(object, "Source"), *at};
}

std::optional<std::int64_t> idIn(std::string_view text) {
    std::int64_t id = 0;
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, id);
    return read.ptr == end && read.ec == std::errc() && id > 0 ? std::optional(id) : std::nullopt;
}

bool holdsAny(const std::string& text, std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* each) { return text.find(each) != std::string::npos; });
}

/// Of the jobs that lines name after these words, once each.
std::vector<std::int64_t> idsAfter(const std::string& out, std::string_view words) {
    std::vector<std::int64_t> ids;
    for (const auto& line : linesOf(out)) {
        const auto at = line.find(words);
        if (at == std::string::npos) {
            continue;
        }
        const auto from = at + words.size();
        const auto end = std::min(line.find_first_not_of("0123456789", from), line.size());
        const auto id = idIn(std::string_view(line).substr(from, end - from));
        if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) {
            ids.push_back(*id);
        }
    }
    return ids;
}

/// Its number in `... ( 1501 : ...)`, DIRAC's form of an error that has one.
std::int64_t numberIn(const std::string& message) {
    const auto begin = message.find(" ( ");
    const auto end = message.find(" : ", begin == std::string::npos ? 0 : begin);
    if (begin == std::string::npos || end == std::string::npos) {
        return 0;
    }
    return idIn(std::string_view(message).substr(begin + 3, end - begin - 3)).value_or(0);
}

}  // namespace

std::optional<std::vector<DiracxJob>> parseDiracStat(const std::string& out) {
    std::optional<std::string> list;
    for (const auto& line : linesOf(out)) {
        if (isList(line)) {
            if (list) {
                return std::nullopt;
            }
            list = line;
        }
    }
    return list ? listIn<DiracxJob>(*list, jobOf) : std::nullopt;
}

std::optional<std::vector<std::vector<DiracxEvent>>> parseDiracLogging(const std::string& out) {
    std::vector<std::vector<DiracxEvent>> all;
    for (const auto& line : linesOf(out)) {
        if (!isList(line)) {
            continue;
        }
        auto history = listIn<DiracxEvent>(line, eventOf);
        if (!history || history->empty()) {
            return std::nullopt;
        }
        all.push_back(std::move(*history));
    }
    return all;
}

std::optional<std::vector<DiracCliOutcome>> parseDiracSubmit(
    const std::string& out, const std::vector<std::string>& files) {
    constexpr std::string_view kId = "JobID = ";
    std::vector<std::int64_t> ids;
    std::map<std::string, std::string> errors;
    for (const auto& line : linesOf(out)) {
        if (line.starts_with(kId)) {
            const auto id = idIn(std::string_view(line).substr(kId.size()));
            if (!id || std::find(ids.begin(), ids.end(), *id) != ids.end()) {
                return std::nullopt;
            }
            ids.push_back(*id);
        }
        for (const auto& file : files) {
            const auto begin = "ERROR " + file + ": ";
            if (line.starts_with(begin) &&
                !errors.emplace(file, lastLineOf(line.substr(begin.size()))).second) {
                return std::nullopt;
            }
        }
    }
    if (ids.size() + errors.size() != files.size()) {
        return std::nullopt;
    }
    std::vector<DiracCliOutcome> outcomes;
    auto id = ids.begin();
    for (const auto& file : files) {
        const auto error = errors.find(file);
        if (error == errors.end()) {
            outcomes.push_back({*id++, {}});
        } else {
            outcomes.push_back({std::nullopt, error->second});
        }
    }
    return outcomes;
}

std::map<std::int64_t, std::string> parseDiracErrors(const std::string& out) {
    constexpr std::string_view kError = "ERROR ";
    std::map<std::int64_t, std::string> errors;
    for (const auto& line : linesOf(out)) {
        const auto colon = line.find(": ");
        if (!line.starts_with(kError) || colon == std::string::npos) {
            continue;
        }
        if (const auto id =
                idIn(std::string_view(line).substr(kError.size(), colon - kError.size()))) {
            errors[*id] = lastLineOf(line.substr(colon + 2));
        }
    }
    return errors;
}

std::vector<std::int64_t> withoutDiracOutput(const std::string& out) {
    return idsAfter(out, "No Output sandbox found for job ");
}

std::vector<std::int64_t> withoutDiracHistory(const std::string& out) {
    return idsAfter(out, "No Logging information for job ");
}

std::vector<std::int64_t> parseDiracStatus(const std::string& out) {
    std::vector<std::int64_t> ids;
    for (const auto& line : linesOf(out)) {
        constexpr std::string_view kId = "JobID=";
        const auto end = std::min(line.find(' '), line.size());
        const auto id = line.starts_with(kId)
                            ? idIn(std::string_view(line).substr(kId.size(), end - kId.size()))
                            : std::nullopt;
        if (id) {
            ids.push_back(*id);
        }
    }
    return ids;
}

bool isDiracOutputRetrieved(const std::string& out, const std::string& folder) {
    const auto lines = linesOf(out);
    return std::find(lines.begin(), lines.end(),
                     "Job output sandbox retrieved in " + folder + "/") != lines.end();
}

bool isDiracOutputRefused(const std::string& message) {
    return holdsAny(message, {"the output sandbox is refused"});
}

bool isDiracOutputBroken(const std::string& message) {
    // The second is DIRAC's: of an error of the system it would tell the number first.
    return holdsAny(message, {"the output sandbox is broken", "Could not open bundle: OSError('",
                              "Could not open bundle: BadGzipFile("});
}

bool isDiracRefusal(const std::string& message) {
    // 1503 is said of whoever submits as well.
    return numberIn(message) == 1501 ||
           holdsAny(message, {"JDL syntax error", "Invalid job JDL", "validation error",
                              "Input Sandbox is not valid", "Sandbox is too big"});
}

bool isDiracAway(const std::string& message) {
    const auto number = numberIn(message);
    // Sandboxes are stored first; 11xx is about proxies, certificates and rights.
    return (number >= 1100 && number < 1120) || number == 1503 ||
           holdsAny(message,
                    {"SandboxStore", "Failed to establish a new connection",
                     "CERTIFICATE_VERIFY_FAILED", "Can't connect to", "Cannot get URL for",
                     "URL for service", "No proxy found", "No access to", "Unauthorized query"});
}

std::string diracComplaint(const std::string& out, const std::string& err) {
    std::string last;
    for (const auto& line : linesOf(out)) {
        const auto text = lastLineOf(line);
        // It is said each time, of a configuration that is in one file.
        if (!text.empty() &&
            text.find("Running without remote configuration") == std::string::npos) {
            last = text;
        }
    }
    // A program that failed by an exception of its own says what it was at the end of this.
    const auto why = lastLineOf(err);
    return !last.empty() ? last : !why.empty() ? why : "it said nothing";
}

}  // namespace gridbridge
