#include "backends/diracx/DiracxParse.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "backends/api/SchedulerCommands.h"

namespace gridbridge {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

/// What `read` makes of the whole document; nothing also where it throws for a value of another
/// kind than it should be.
template <typename T, typename Read>
std::optional<T> parsed(const std::string& body, Read read) {
    try {
        Poco::JSON::Parser parser;
        parser.setDepth(8);
        return read(parser.parse(body));
    } catch (const Poco::Exception&) {
        return std::nullopt;
    } catch (const std::bad_cast&) {
        return std::nullopt;
    }
}

Object::Ptr objectOf(const Var& value) {
    return value.extract<Object::Ptr>();
}

Array::Ptr arrayOf(const Var& value) {
    return value.extract<Array::Ptr>();
}

/// Empty for null and for what is absent.
std::string textOf(const Object& object, const std::string& name) {
    const auto value = object.get(name);
    return value.isEmpty() ? "" : value.extract<std::string>();
}

std::string lineOf(const Object& object, const std::string& name) {
    return lastLineOf(textOf(object, name));
}

std::optional<std::int64_t> numberOf(const Var& value) {
    return value.isInteger() ? std::optional(value.convert<Poco::Int64>()) : std::nullopt;
}

/// Throws where it is there and no time.
std::optional<WallTime> timeOf(const Object& object, const std::string& name) {
    const auto text = textOf(object, name);
    const auto time = diracxTime(text);
    if (!time && !text.empty()) {
        throw Poco::DataFormatException(name);
    }
    return time;
}

DiracxEvent eventOf(const Object& object) {
    return {lineOf(object, "Status"), lineOf(object, "MinorStatus"),
            lineOf(object, "ApplicationStatus"), lineOf(object, "Source"),
            timeOf(object, "StatusTime").value_or(WallTime{})};
}

DiracxJob jobOf(const Object& object) {
    DiracxJob job;
    const auto id = numberOf(object.get("JobID"));
    const auto submitted = timeOf(object, "SubmissionTime");
    if (!id || *id <= 0 || !submitted || textOf(object, "Status").empty()) {
        throw Poco::DataFormatException("a job without id, time or state");
    }
    job.id = *id;
    job.submittedAt = *submitted;
    job.name = lineOf(object, "JobName");
    job.status = lineOf(object, "Status");
    job.minor = lineOf(object, "MinorStatus");
    job.application = lineOf(object, "ApplicationStatus");
    job.site = lineOf(object, "Site");
    const auto count = numberOf(object.get("RescheduleCounter")).value_or(0);
    job.reschedules = static_cast<int>(std::clamp<std::int64_t>(count, 0, 1000));
    job.startedAt = timeOf(object, "StartExecTime");
    job.endedAt = timeOf(object, "EndExecTime");
    if (object.has("LoggingInfo")) {
        const auto history = object.getArray("LoggingInfo");
        for (std::size_t i = 0; !history.isNull() && i < history->size(); ++i) {
            job.history.push_back(eventOf(*objectOf(history->get(static_cast<unsigned>(i)))));
        }
    }
    return job;
}

/// Digits of a fraction of a second, as milliseconds.
int millisOf(std::string_view digits) {
    int value = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        value = value * 10 + (i < digits.size() ? digits[i] - '0' : 0);
    }
    return value;
}

/// All of `text`, by strptime.
std::optional<WallTime> timeBy(const char* format, const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), format, &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    return WallTime(std::chrono::seconds(::timegm(&parts)));
}

}  // namespace

std::optional<std::vector<DiracxJob>> parseDiracxJobs(const std::string& body) {
    return parsed<std::vector<DiracxJob>>(body, [](const Var& document) {
        std::vector<DiracxJob> jobs;
        for (const auto& row : *arrayOf(document)) {
            jobs.push_back(jobOf(*objectOf(row)));
        }
        return jobs;
    });
}

std::optional<std::vector<std::int64_t>> parseDiracxSubmission(const std::string& body,
                                                               std::size_t count) {
    using Ids = std::optional<std::vector<std::int64_t>>;
    const auto read = parsed<Ids>(body, [&](const Var& document) -> Ids {
        std::vector<std::int64_t> ids;
        for (const auto& row : *arrayOf(document)) {
            const auto id = numberOf(objectOf(row)->get("JobID"));
            if (!id || *id <= 0 || std::find(ids.begin(), ids.end(), *id) != ids.end()) {
                return std::nullopt;
            }
            ids.push_back(*id);
        }
        return ids.size() == count ? Ids(std::move(ids)) : std::nullopt;
    });
    return read.value_or(std::nullopt);
}

std::optional<std::map<std::int64_t, std::string>> parseDiracxChange(const std::string& body) {
    using States = std::map<std::int64_t, std::string>;
    return parsed<States>(body, [](const Var& document) {
        States states;
        const auto success = objectOf(document)->getObject("success");
        if (success.isNull()) {
            throw Poco::DataFormatException("no states");
        }
        for (const auto& [name, value] : *success) {
            std::int64_t id = 0;
            const auto end = name.data() + name.size();
            const auto state = lineOf(*objectOf(value), "Status");
            if (std::from_chars(name.data(), end, id).ptr == end && !state.empty()) {
                states[id] = state;
            }
        }
        return states;
    });
}

std::optional<DiracxIdentity> parseDiracxIdentity(const std::string& body) {
    return parsed<DiracxIdentity>(body, [](const Var& document) {
        const auto object = objectOf(document);
        DiracxIdentity identity{textOf(*object, "preferred_username"),
                                textOf(*object, "dirac_group")};
        if (identity.user.empty()) {
            throw Poco::DataFormatException("nobody");
        }
        for (const auto& property : *object->getArray("properties")) {
            identity.maySubmit = identity.maySubmit || property == "NormalUser";
        }
        return identity;
    });
}

std::optional<DiracxUpload> parseDiracxUpload(const std::string& body) {
    return parsed<DiracxUpload>(body, [](const Var& document) {
        const auto object = objectOf(document);
        DiracxUpload upload{textOf(*object, "pfn"), textOf(*object, "url"), {}};
        if (upload.name.empty()) {
            throw Poco::DataFormatException("no name");
        }
        if (!upload.url.empty()) {
            for (const auto& [name, value] : *object->getObject("fields")) {
                upload.fields.emplace_back(name, value.extract<std::string>());
            }
        }
        return upload;
    });
}

std::optional<std::vector<std::string>> parseDiracxOutputs(const std::string& body) {
    return parsed<std::vector<std::string>>(body, [](const Var& document) {
        std::vector<std::string> names;
        for (const auto& name : *arrayOf(document)) {
            if (!name.isEmpty()) {  // Release 0.3 says so that there is none.
                names.push_back(name.extract<std::string>());
            }
        }
        return names;
    });
}

std::optional<std::string> parseDiracxDownload(const std::string& body) {
    return parsed<std::string>(
        body, [](const Var& document) { return textOf(*objectOf(document), "url"); });
}

std::string diracxDetail(const std::string& body) {
    const auto detail = parsed<std::string>(body, [](const Var& document) {
        const auto value = objectOf(document)->get("detail");
        return value.isString() ? value.extract<std::string>() : Var::toString(value);
    });
    return lastLineOf(detail.value_or(""));
}

std::optional<WallTime> diracxTime(std::string_view text) {
    constexpr std::size_t kSeconds = 19;
    if (text.size() <= kSeconds || text.size() > 40) {
        return std::nullopt;
    }
    auto rest = text.substr(kSeconds);
    std::string_view digits;
    if (rest.front() == '.') {
        const auto end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
        digits = rest.substr(1, end - 1);
        rest.remove_prefix(end);
    }
    if (rest != "Z" && rest != "+00:00") {
        return std::nullopt;
    }
    const auto whole = timeBy("%Y-%m-%dT%H:%M:%S", std::string(text.substr(0, kSeconds)));
    return whole ? std::optional(*whole + Millis(millisOf(digits))) : std::nullopt;
}

std::string diracxStamp(WallTime time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    const std::time_t seconds = whole.time_since_epoch().count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const auto length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
    const auto millis = std::to_string(1000 + (time - whole).count());
    return std::string(text.data(), length) + millis.substr(1) + "+00:00";
}

std::optional<std::size_t> diracxTotal(const std::string& range) {
    const auto slash = range.find('/');
    if (!range.starts_with("jobs ") || slash == std::string::npos) {
        return std::nullopt;
    }
    std::size_t total = 0;
    const auto* const end = range.data() + range.size();
    const auto read = std::from_chars(range.data() + slash + 1, end, total);
    return read.ptr == end && read.ec == std::errc() ? std::optional(total) : std::nullopt;
}

std::optional<WallTime> httpDate(const std::string& text) {
    return timeBy("%a, %d %b %Y %H:%M:%S GMT", text);
}

}  // namespace gridbridge
