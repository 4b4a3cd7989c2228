#include "bridge/gitlab/Dump.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/JSONException.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <Poco/JSONString.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "bridge/base/ReplaceFile.h"
#include "bridge/base/Utf8.h"
#include "bridge/gitlab/Errors.h"

namespace gridbridge::gitlab {

namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kElements = 5;
constexpr std::size_t kDeepest = 64;
/// A job's description and its log, each with room for what JSON escapes.
constexpr std::uintmax_t kLargestFile = std::uintmax_t{512} << 20U;

/// The five elements of a dump of `whose`; the first is the version.
Result<Array::Ptr> elements(std::string_view text, const std::string& whose) {
    Array::Ptr list;
    try {
        Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(true));
        parser.setDepth(kDeepest);
        const auto parsed = parser.parse(std::string(text));
        if (parsed.type() == typeid(Array::Ptr)) {
            list = parsed.extract<Array::Ptr>();
        }
    } catch (const Poco::Exception&) {
        return permanentError("this is no " + whose + ": the JSON is cut short or damaged");
    }
    const auto version = list.isNull() || list->size() == 0 ? Var() : list->get(0);
    if (!version.isInteger() || version.isBoolean()) {
        return permanentError("this is no " + whose + ": it is not a list that begins with 1");
    }
    if (version.convert<std::string>() != std::to_string(kVersion)) {
        return permanentError("this " + whose + " has version " + version.convert<std::string>() +
                              "; only version 1 can be read");
    }
    if (list->size() != kElements) {
        return permanentError("this is no " + whose + ": it has " + std::to_string(list->size()) +
                              " elements instead of " + std::to_string(kElements));
    }
    return list;
}

Error wrong(const std::string& whose, const std::string& element) {
    return permanentError("this is no " + whose + ": " + element);
}

std::string json(const Var& value) {
    std::ostringstream text;
    Poco::JSON::Stringifier::stringify(value, text);
    return text.str();
}

std::string quoted(const std::string& text) {
    return Poco::toJSON(validUtf8(text), Poco::JSON_WRAP_STRINGS);
}

Secret list(const std::string& rest) {
    return Secret("[" + std::to_string(kVersion) + ", " + rest + "]");
}

}  // namespace

Result<RunnerDump> readRunnerDump(std::string_view text) {
    const std::string whose = "runner's file";
    const auto read = elements(text, whose);
    if (!read) {
        return read.error();
    }
    const Array& all = **read;
    const auto url = all.get(1);
    const auto id = all.get(2);
    const auto token = all.get(3);
    if (!url.isString() || url.extract<std::string>().starts_with('[')) {
        return wrong(whose, "its second element is not the address of a server");
    }
    RunnerDump runner{.apiUrl = url.extract<std::string>()};
    try {
        runner.id = id.isInteger() && !id.isBoolean() ? id.convert<std::int64_t>() : 0;
    } catch (const Poco::Exception&) {
        runner.id = 0;  // Larger than any id.
    }
    if (runner.id <= 0) {
        return wrong(whose, "its third element is not the id of a runner");
    }
    if (!token.isString() || token.extract<std::string>().empty()) {
        return wrong(whose, "its fourth element is not a token");
    }
    runner.token = Secret(token.extract<std::string>());
    if (all.get(4).type() != typeid(Object::Ptr)) {
        return wrong(whose, "its fifth element is not an object");
    }
    runner.data = json(all.get(4));
    return runner;
}

Result<JobDump> readJobDump(std::string_view text) {
    const std::string whose = "job's file";
    const auto read = elements(text, whose);
    if (!read) {
        return read.error();
    }
    const Array& all = **read;
    const auto runner = all.get(1);
    const auto info = all.get(2);
    const auto state = all.get(3);
    const auto log = all.get(4);
    if (!runner.isString() || !runner.extract<std::string>().starts_with('[')) {
        return wrong(whose, "its second element is not a runner");
    }
    if (info.type() != typeid(Object::Ptr)) {
        return wrong(whose, "its third element is not a job");
    }
    if (state != "running" && state != "success" && state != "failed") {
        return wrong(whose, "its fourth element is not running, success or failed");
    }
    if (!log.isString()) {
        return wrong(whose, "its fifth element is not a log");
    }
    return JobDump{.runner = Secret(runner.extract<std::string>()),
                   .jobInfo = Secret(json(info)),
                   .state = state.extract<std::string>(),
                   .log = log.extract<std::string>()};
}

Secret textOf(const RunnerDump& runner) {
    return list(quoted(runner.apiUrl) + ", " + std::to_string(runner.id) + ", " +
                quoted(runner.token.reveal()) + ", " + runner.data);
}

Secret textOf(const JobDump& job) {
    return list(quoted(job.runner.reveal()) + ", " + job.jobInfo.reveal() + ", " +
                quoted(job.state) + ", " + quoted(job.log));
}

Secret readDumpFile(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) {
        throw FileError(file.string() +
                        (error ? " cannot be read: " + error.message() : " is not a file"));
    }
    if (std::filesystem::file_size(file, error) > kLargestFile) {
        throw FileError(file.string() + " is larger than 512 MiB");
    }
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf())) {
        throw FileError(file.string() + " cannot be read: " + std::strerror(errno));
    }
    return Secret(text.str());
}

void writeDumpFile(const std::filesystem::path& file, const Secret& text) {
    if (const auto written = replaceFile(file, text.reveal()); !written.ok()) {
        throw FileError(written.error().message);
    }
}

}  // namespace gridbridge::gitlab
