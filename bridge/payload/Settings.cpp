#include "bridge/payload/Settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

using Seconds = std::chrono::duration<double>;

/// Seconds of the unit at the start of `text`, which is taken away; nothing when there is none.
std::optional<double> takeUnit(std::string_view& text) {
    struct Unit {
        std::string_view name;
        double seconds;
    };
    // Longer names first: "ms" begins with "m".
    constexpr Unit kUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"\u00b5s", 1e-6}, {"ms", 1e-3},
                               {"s", 1},     {"m", 60},    {"h", 3600}};
    for (const auto& unit : kUnits) {
        if (text.starts_with(unit.name)) {
            text.remove_prefix(unit.name.size());
            return unit.seconds;
        }
    }
    return std::nullopt;
}

/// A duration as Go writes it: `1h30m`, `1.5h`, `-5m`, `0`.
std::optional<Seconds> parseDuration(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    if (text == "0") {
        return Seconds(0);
    }
    double total = 0;
    do {
        double number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number,
                                                  std::chars_format::fixed);
        if (error != std::errc() || std::signbit(number)) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        const auto unit = takeUnit(text);
        if (!unit) {
            return std::nullopt;
        }
        total += number * *unit;
    } while (!text.empty());
    // Go counts nanoseconds in 64 bits; this also refuses "inf" and "nan".
    if (!(total < 9.2e9)) {
        return std::nullopt;
    }
    return Seconds(negative ? -total : total);
}

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> result;
    for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
        const auto end = std::min(text.find_first_of(" \t\n\v\f\r"), text.size());
        result.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return result;
}

class Reader {
public:
    Reader(const Variables& variables, std::vector<std::string>& warnings)
        : variables_(variables), warnings_(warnings) {}

    bool flag(const std::string& name, bool fallback) {
        const auto value = variables_.setting(name);
        const auto is = [&](std::initializer_list<std::string_view> texts) {
            return std::find(texts.begin(), texts.end(), value) != texts.end();
        };
        if (value.empty() || is({"1", "t", "T", "TRUE", "true", "True"})) {
            return value.empty() ? fallback : true;
        }
        if (!is({"0", "f", "F", "FALSE", "false", "False"})) {
            warn(name + ": expected bool got \"" + oneLine(value) +
                 "\", using default value: " + (fallback ? "true" : "false"));
            return fallback;
        }
        return false;
    }

    long long number(const std::string& name, long long fallback) {
        const auto value = variables_.setting(name);
        if (value.empty()) {
            return fallback;
        }
        long long number = 0;
        const auto* last = value.data() + value.size();
        const auto [end, error] = std::from_chars(value.data(), last, number);
        if (error != std::errc() || end != last) {
            warn(name + ": expected int got \"" + oneLine(value) +
                 "\", using default value: " + std::to_string(fallback));
            return fallback;
        }
        return number;
    }

    int attempts(const std::string& name) {
        const auto number = this->number(name, 1);
        const auto clamped = static_cast<int>(std::clamp(number, 1LL, 10LL));
        if (clamped != number) {
            warn(name + ": number of attempts out of the range [1, 10], clamping to: " +
                 std::to_string(clamped));
        }
        return clamped;
    }

    std::chrono::minutes minutes(const std::string& name, std::chrono::minutes fallback) {
        constexpr long long kMost = 60LL * 24 * 30;
        const auto number = this->number(name, fallback.count());
        return number < 1 ? fallback : std::chrono::minutes(std::min(number, kMost));
    }

    std::chrono::seconds limit(const std::string& name, std::chrono::seconds fallback,
                               std::chrono::seconds jobTimeout) {
        const auto value = variables_.setting(name);
        if (value.empty()) {
            return fallback;
        }
        const auto duration = parseDuration(value);
        if (!duration) {
            warn("Ignoring malformed " + name + " timeout: " + oneLine(value));
            return fallback;
        }
        if (duration->count() < 0) {
            warn("Ignoring relative " + name + " timeout: " + oneLine(value));
            return fallback;
        }
        if (*duration > jobTimeout) {
            warn(name + " timeout: " + oneLine(value) +
                 " is longer than job timeout. Setting to job timeout");
            return jobTimeout;
        }
        return duration->count() == 0 ? fallback
                                      : std::chrono::ceil<std::chrono::seconds>(*duration);
    }

    GitStrategy strategy(bool allowFetch) {
        const auto value = variables_.setting("GIT_STRATEGY");
        if (value.empty()) {
            return allowFetch ? GitStrategy::Fetch : GitStrategy::Clone;
        }
        if (value == "clone") {
            return GitStrategy::Clone;
        }
        if (value == "none") {
            return GitStrategy::None;
        }
        if (value == "empty") {
            return GitStrategy::Empty;
        }
        if (value != "fetch") {
            warn("GIT_STRATEGY: expected either 'clone', 'fetch', 'none' or 'empty' got \"" +
                 oneLine(value) + "\", using default value 'fetch'");
        }
        return GitStrategy::Fetch;
    }

    SubmoduleStrategy submodules() {
        const auto value = variables_.setting("GIT_SUBMODULE_STRATEGY");
        if (value.empty() || value == "none") {
            return SubmoduleStrategy::None;
        }
        if (value == "normal") {
            return SubmoduleStrategy::Normal;
        }
        if (value == "recursive") {
            return SubmoduleStrategy::Recursive;
        }
        warn("GIT_SUBMODULE_STRATEGY: expected either 'normal', 'recursive' or 'none' got \"" +
             oneLine(value) + "\"");
        return SubmoduleStrategy::Unknown;
    }

    int submoduleDepth(int ofRepository) {
        return static_cast<int>(std::clamp<long long>(number("GIT_SUBMODULE_DEPTH", ofRepository),
                                                      0, std::numeric_limits<int>::max()));
    }

    std::vector<std::string> list(const std::string& name) {
        return words(variables_.setting(name));
    }

    /// Empty when the value is `none`.
    std::vector<std::string> flags(const std::string& name, std::vector<std::string> fallback) {
        const auto value = variables_.setting(name);
        if (value == "none") {
            return {};
        }
        return trimmed(value).empty() ? fallback : words(value);
    }

private:
    void warn(std::string line) { warnings_.push_back(std::move(line)); }

    const Variables& variables_;
    std::vector<std::string>& warnings_;
};

}  // namespace

Settings readSettings(const Variables& variables, const gitlab::JobDescription& job,
                      std::vector<std::string>& warnings) {
    Reader read(variables, warnings);
    Settings settings;
    settings.debugTrace = read.flag("CI_DEBUG_TRACE", false);
    settings.timestamps = read.flag("FF_TIMESTAMPS", false);
    settings.gitStrategy = read.strategy(job.allowGitFetch);
    settings.gitCheckout = read.flag("GIT_CHECKOUT", true);
    settings.gitCleanFlags = read.flags("GIT_CLEAN_FLAGS", settings.gitCleanFlags);
    settings.gitFetchFlags = read.flags("GIT_FETCH_EXTRA_FLAGS", settings.gitFetchFlags);
    settings.submodules = read.submodules();
    settings.submodulePaths = read.list("GIT_SUBMODULE_PATHS");
    settings.submoduleUpdateFlags = read.list("GIT_SUBMODULE_UPDATE_FLAGS");
    settings.submoduleDepth = read.submoduleDepth(job.git.depth);
    settings.submoduleForceHttps = read.flag("GIT_SUBMODULE_FORCE_HTTPS", false);
    settings.sshHost = variables.setting("CI_SERVER_SHELL_SSH_HOST");
    settings.sshPort = variables.setting("CI_SERVER_SHELL_SSH_PORT");
    settings.lfs = !read.flag("GIT_LFS_SKIP_SMUDGE", false);
    settings.getSourcesAttempts = read.attempts("GET_SOURCES_ATTEMPTS");
    settings.restoreCacheAttempts = read.attempts("RESTORE_CACHE_ATTEMPTS");
    settings.cacheTimeout = read.minutes("CACHE_REQUEST_TIMEOUT", settings.cacheTimeout);
    settings.artifactDownloadAttempts = read.attempts("ARTIFACT_DOWNLOAD_ATTEMPTS");
    settings.afterScriptIgnoresErrors = read.flag("AFTER_SCRIPT_IGNORE_ERRORS", true);
    settings.scriptTimeout =
        read.limit("RUNNER_SCRIPT_TIMEOUT", settings.scriptTimeout, job.timeout);
    settings.afterScriptTimeout =
        read.limit("RUNNER_AFTER_SCRIPT_TIMEOUT", settings.afterScriptTimeout, job.timeout);
    return settings;
}

}  // namespace gridbridge::payload
