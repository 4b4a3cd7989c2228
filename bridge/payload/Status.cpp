#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kLongestStatus = 4096;
constexpr std::string_view kOutputPrefix = "output.";

bool isWord(std::string_view text, std::size_t longest) {
    return text.size() <= longest && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

/// A plain decimal number without sign or leading zeros.
std::optional<std::int64_t> number(std::string_view text, std::int64_t most) {
    std::int64_t value = 0;
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error != std::errc() || end != last || value < 0 || value > most ||
        std::to_string(value) != text) {
        return std::nullopt;
    }
    return value;
}

template <std::size_t N>
bool isOneOf(std::string_view text, const std::array<std::string_view, N>& known) {
    return std::find(known.begin(), known.end(), text) != known.end();
}

using Lines = std::map<std::string_view, std::string_view>;

/// Every line as key and value; false when it is no such text.
bool split(std::string_view text, Lines& lines) {
    if (!text.ends_with('\n')) {
        return false;
    }
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        const auto equals = line.find('=');
        text.remove_prefix(end + 1);
        if (equals == std::string_view::npos ||
            !lines.emplace(line.substr(0, equals), line.substr(equals + 1)).second) {
            return false;
        }
    }
    return true;
}

bool readOutputs(Lines& lines, Status& status) {
    constexpr std::int64_t kMostBytes = std::int64_t{1} << 60;
    for (auto line = lines.begin(); line != lines.end();) {
        if (!line->first.starts_with(kOutputPrefix)) {
            ++line;
            continue;
        }
        const auto name = line->first.substr(kOutputPrefix.size());
        const auto size = number(line->second, kMostBytes);
        if (name.empty() || !isWord(name, 64) || !size) {
            return false;
        }
        status.outputs.emplace_back(name, *size);
        line = lines.erase(line);
    }
    return true;
}

/// Exactly the failed have a number.
bool readExitCode(std::string_view text, Status& status) {
    if (text.empty()) {
        return status.outcome != "failed";
    }
    const auto code = number(text, 255);
    if (!code || *code == 0 || status.outcome != "failed") {
        return false;
    }
    status.exitCode = static_cast<int>(*code);
    return true;
}

bool readFixed(const Lines& lines, Status& status) {
    constexpr std::array<std::string_view, 5> kOutcomes = {"success", "failed", "timedout",
                                                           "canceled", "system"};
    constexpr std::array<std::string_view, 9> kWhys = {"",
                                                       "canceled",
                                                       "terminated",
                                                       "limit",
                                                       "stage_timeout",
                                                       "job_timeout",
                                                       "wall_timeout",
                                                       "collect_failed",
                                                       "image_failed"};
    constexpr std::int64_t kMostBytes = std::int64_t{1} << 60;
    constexpr std::int64_t kLatest = 99'999'999'999;
    status.outcome = lines.at("outcome");
    status.why = lines.at("why");
    status.stage = lines.at("stage");
    status.host = lines.at("host");
    const auto logBytes = number(lines.at("log_bytes"), kMostBytes);
    const auto endedAt = number(lines.at("ended_at"), kLatest);
    if (!isOneOf(status.outcome, kOutcomes) || !isOneOf(status.why, kWhys) ||
        status.stage.empty() || !isWord(status.stage, 80) || !isWord(status.host, 255) ||
        !logBytes || !endedAt) {
        return false;
    }
    status.logBytes = *logBytes;
    status.endedAt = WallTime(std::chrono::seconds(*endedAt));
    return readExitCode(lines.at("exit_code"), status);
}

}  // namespace

Result<Status> parseStatus(std::string_view text, std::string_view nonce) {
    constexpr std::array<std::string_view, 9> kKeys = {"version", "nonce",     "outcome",
                                                       "why",     "stage",     "exit_code",
                                                       "host",    "log_bytes", "ended_at"};
    if (text.size() > kLongestStatus) {
        return permanentError("the job's status file is longer than 4 KiB");
    }
    Lines lines;
    Status status;
    if (!split(text, lines) || !readOutputs(lines, status) || lines.size() != kKeys.size() ||
        !std::all_of(kKeys.begin(), kKeys.end(),
                     [&](std::string_view key) { return lines.count(key) == 1; }) ||
        lines.at("version") != "1") {
        return permanentError("the job's status file cannot be understood");
    }
    if (lines.at("nonce") != nonce) {
        return permanentError("the job's status file belongs to another attempt");
    }
    if (!readFixed(lines, status)) {
        return permanentError("the job's status file has an impossible value");
    }
    return status;
}

}  // namespace gridbridge::payload
