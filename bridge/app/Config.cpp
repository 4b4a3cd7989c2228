#include "bridge/app/Config.h"

#include <algorithm>
#include <pwd.h>
#include <tuple>
#include <unistd.h>

#include "bridge/app/ConfigBackend.h"
#include "bridge/app/ConfigCache.h"
#include "bridge/app/ConfigFile.h"
#include "bridge/app/ConfigSection.h"
#include "bridge/app/ConfigTls.h"
#include "bridge/app/ConfigToken.h"
#include "bridge/app/Text.h"
#include "bridge/http/BaseUrl.h"
#include "bridge/payload/Glob.h"

namespace gridbridge::app {

namespace {

using std::filesystem::path;

constexpr std::int64_t kLargestOutputKib = 1024 * 1024;
constexpr std::uint64_t kSmallestArtifacts = std::uint64_t{1} << 20U;
constexpr std::uint64_t kLeastRoom = std::uint64_t{1} << 20U;
constexpr std::uint64_t kMostRoom = std::uint64_t{1} << 50U;
constexpr std::chrono::hours kLongestRetention{24 * 3650};

bool isAssignment(const std::string& text) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    return equals != std::string::npos && !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
           std::all_of(name.begin(), name.end(), good) && text.find('\0') == std::string::npos;
}

/// Turns sections into the configuration, section by section.
class Builder {
public:
    Builder(const RawConfig& raw, const Host& host, ConfigReading& reading)
        : raw_(raw), host_(host), reading_(reading), config_(reading.config) {}

    void build() {
        top();
        for (const auto& [name, section] : raw_.backends) {
            backend(name, section);
        }
        for (const RawSection& section : raw_.runners) {
            runner(section);
        }
        if (raw_.runners.empty() && !raw_.runnersFaulty) {
            reading_.problems.push_back(noRunner(config_.file));
        }
        checkCaches(reading_);
    }

private:
    void top() {
        ConfigSection section(raw_.top, reading_);
        take(config_.concurrent, section.integer("concurrent", 1, kMostJobs));
        config_.checkInterval =
            section.duration("check_interval", std::chrono::seconds(1), kLongestInterval)
                .value_or(config_.checkInterval);
        config_.stateDir = section.absolutePath("state_dir").value_or(config_.stateDir);
        config_.retention = section.duration("retention", std::chrono::hours(1), kLongestRetention)
                                .value_or(config_.retention);
        config_.minFreeSpace =
            section.size("min_free_space", kLeastRoom, kMostRoom).value_or(config_.minFreeSpace);
        config_.logLevel =
            section.choice("log_level", {"trace", "debug", "info", "warn", "error", "critical"})
                .value_or(config_.logLevel);
    }

    void backend(const std::string& name, const RawSection& raw) {
        ConfigSection section(raw, reading_);
        if (!isName(name)) {
            section.report("", "is not a name", "use letters, digits, '.', '_' and '-' only");
        }
        if (const auto first = firstOf(backendPlaces_, name, raw.place)) {
            section.report("", "is defined twice; first " + *first, "remove or rename one of them");
        }
        config_.backends.push_back(takeBackend(section, name, config_, host_));
    }

    void runner(const RawSection& raw) {
        ConfigSection section(raw, reading_);
        RunnerConfig runner;
        runner.name =
            section.requiredText("name", "give the runner a name of your own").value_or("");
        if (!runner.name.empty() && !isName(runner.name)) {
            section.report("name", "is not a name", "use letters, digits, '.', '_' and '-' only");
        } else if (!runner.name.empty()) {
            if (const auto first = firstOf(runnerPlaces_, runner.name, raw.place)) {
                section.report("name", "a second runner has this name; the first is " + *first,
                               "rename or remove one of them");
            }
        }
        takeServerAndToken(section, runner);
        ownToken(runner);
        backendOf(section, runner);
        runner.limit = config_.concurrent;
        take(runner.limit, section.integer("limit", 1, kMostJobs));
        runner.outputLimitKib =
            section.integer("output_limit", 1, kLargestOutputKib).value_or(runner.outputLimitKib);
        runner.artifactLimit = static_cast<std::int64_t>(
            section.size("artifact_limit", kSmallestArtifacts, payload::kMostMemberBytes)
                .value_or(payload::kMostMemberBytes));
        runner.tls = takeTls(section);
        runner.debugTraceDisabled = section.flag("debug_trace_disabled").value_or(false);
        runner.imageIgnored = section.choice("image", {"fail", "ignore"}) == "ignore";
        runner.allowedImages = images(section, runner);
        runner.environment = section.texts("environment");
        if (!std::all_of(runner.environment.begin(), runner.environment.end(), isAssignment)) {
            section.report("environment", "an element is not an assignment",
                           "write each as \"NAME=value\"");
        }
        runner.access = {patterns(section, "allowed_projects"),
                         patterns(section, "banned_projects"), patterns(section, "banned_users")};
        takeCache(section, runner, config_);
        config_.runners.push_back(std::move(runner));
    }

    /// The renewal of a token by one of two runners would end it for the other.
    void ownToken(const RunnerConfig& runner) {
        const auto* first = config_.runnerOf(runner.url, runner.token);
        if (first != nullptr && first->name != runner.name) {
            reading_.problems.push_back({runner.tokenPlace, runner.tokenKey,
                                         "is the token of the runner " + first->name +
                                             " too, which is in " +
                                             first->tokenPlace.file.string() + " line " +
                                             std::to_string(first->tokenPlace.line),
                                         "create a runner in GitLab for each, or remove one of "
                                         "the two sections"});
        }
    }

    static std::vector<std::string> patterns(ConfigSection& section, std::string_view key) {
        auto texts = section.texts(key);
        if (!std::all_of(texts.begin(), texts.end(), core::Access::isPattern)) {
            section.report(key, "an element is not a pattern",
                           "write names, with * for part of a name and ** for several");
        }
        return texts;
    }

    std::vector<std::string> images(ConfigSection& section, const RunnerConfig& runner) const {
        auto texts = section.texts("allowed_images");
        if (!texts.empty() && !runner.hasContainers && config_.backend(runner.backend) != nullptr) {
            section.report(
                "allowed_images",
                "says nothing for the backend " + runner.backend + ", which runs no containers",
                "remove it, or write container into the section of that backend");
        }
        if (!std::all_of(texts.begin(), texts.end(), [](const std::string& text) {
                return !text.empty() && payload::Glob::parse(text);
            })) {
            section.report("allowed_images", "an element is not a pattern",
                           "write names of images like \"python:*\", with * for a part between "
                           "slashes and ** for several");
        }
        return texts;
    }

    void backendOf(ConfigSection& section, RunnerConfig& runner) {
        const auto name =
            section.requiredText("backend", "name one of the sections [backends.NAME]");
        if (!name) {
            return;
        }
        runner.backend = *name;
        const auto* named = config_.backend(*name);
        if (named != nullptr) {
            takeAbilities(runner, *named);
        }
        if (named != nullptr || raw_.backendsFaulty) {
            return;
        }
        std::vector<std::string_view> known;
        for (const BackendConfig& backend : config_.backends) {
            known.emplace_back(backend.name);
        }
        const auto near = nearest(*name, known);
        std::string others;
        for (const std::string_view other : known) {
            others.append(others.empty() ? "one of: " : ", ").append(other);
        }
        section.report("backend", "there is no section [backends." + *name + "]",
                       near.empty() ? "add it or name " + (others.empty() ? "another" : others)
                                    : "did you mean \"" + std::string(near) + "\"?");
    }

    /// Where the name was used before, as words.
    static std::optional<std::string> firstOf(std::map<std::string, Place>& seen,
                                              const std::string& name, const Place& place) {
        const auto [first, isNew] = seen.emplace(name, place);
        if (isNew) {
            return std::nullopt;
        }
        return "in " + first->second.file.string() + " line " + std::to_string(first->second.line);
    }

    const RawConfig& raw_;
    const Host& host_;
    ConfigReading& reading_;
    Config& config_;
    std::map<std::string, Place> runnerPlaces_;
    std::map<std::string, Place> backendPlaces_;
};

std::vector<path> additions(const path& file, std::vector<ConfigProblem>& problems) {
    const path folder = file.parent_path() / "config.d";
    std::vector<path> files;
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const path name = entry->path().filename();
        if (name.extension() == ".toml" && name.native().front() != '.') {
            files.push_back(entry->path());
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        problems.push_back({{folder, 0},
                            "",
                            "cannot be listed: " + error.message(),
                            "make it a folder that the service can read"});
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

bool isName(const std::string& text) {
    constexpr std::size_t kLongest = 64;
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !text.empty() && text.size() <= kLongest && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), good);
}

std::optional<std::string> serverUrl(const std::string& url) {
    if (url.find_first_of("?#@\\\"<>") != std::string::npos) {
        return std::nullopt;
    }
    try {
        return http::parseBaseUrl(url).text;
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
}

ConfigProblem noRunner(const path& file) {
    return {{file, 0},
            "runners",
            "there is no runner",
            "add a section [[runners]] with name, url, token and backend, or run gridbridge "
            "register"};
}

void takeAbilities(RunnerConfig& runner, const BackendConfig& backend) {
    runner.hasContainers = !backend.container.run.empty();
    // ARC takes a file into the folder of a job that runs.
    runner.cancelsSoftly = backend.sharesFolder() || backend.type == "arc";
}

const BackendConfig* Config::backend(const std::string& name) const {
    const auto found = std::find_if(backends.begin(), backends.end(),
                                    [&](const auto& backend) { return backend.name == name; });
    return found == backends.end() ? nullptr : &*found;
}

const RunnerConfig* Config::runnerOf(const std::string& url, const Secret& token) const {
    const auto found = std::find_if(runners.begin(), runners.end(), [&](const auto& runner) {
        return !token.empty() && runner.token == token && runner.url == url;
    });
    return found == runners.end() ? nullptr : &*found;
}

std::string ConfigProblem::sentence() const {
    std::string text = place.file.string();
    if (place.line > 0) {
        text += ":" + std::to_string(place.line);
    }
    text += ": ";
    if (!key.empty()) {
        text += key + ": ";
    }
    return printable(text + what + (cure.empty() ? "" : "; " + cure));
}

ConfigProblem tokenRefused(const RunnerConfig& runner, const std::string& message) {
    return {runner.tokenPlace, runner.tokenKey,
            runner.url + " refuses the token" + (message.empty() ? "" : ": " + message),
            "write the token that GitLab showed when the runner was created, or create a new "
            "runner there"};
}

ConfigProblem renewalLost(const RunnerConfig& runner, const std::string& message) {
    auto problem = tokenRefused(runner, message);
    problem.what += ", and the answer to its renewal was lost";
    problem.cure = "reset the runner's token in GitLab and write the new one";
    return problem;
}

namespace {
std::string allSentences(const std::vector<ConfigProblem>& problems) {
    std::string text;
    for (const ConfigProblem& problem : problems) {
        text += (text.empty() ? "" : "\n") + problem.sentence();
    }
    return text;
}
}  // namespace

ConfigError::ConfigError(std::vector<ConfigProblem> all)
    : std::runtime_error(allSentences(all)), problems(std::move(all)) {}

Host thisHost() {
    return {::geteuid(), [](const std::string& account) -> std::optional<uid_t> {
                constexpr std::size_t kRoom = 16 * 1024;
                std::vector<char> room(kRoom);
                struct passwd entry {};
                struct passwd* found = nullptr;
                ::getpwnam_r(account.c_str(), &entry, room.data(), room.size(), &found);
                return found == nullptr ? std::nullopt : std::optional(found->pw_uid);
            }};
}

ConfigReading readConfig(const path& file, const Host& host) {
    ConfigReading reading;
    reading.config.file = file;
    RawConfig raw{RawSection{"", Place{file, 0}}};
    readConfigFile(file, FileRole::Main, raw, reading.problems);
    for (const path& addition : additions(file, reading.problems)) {
        readConfigFile(addition, FileRole::Addition, raw, reading.problems);
    }
    Builder(raw, host, reading).build();
    const auto order = [&](const ConfigProblem& a, const ConfigProblem& b) {
        const auto rank = [&](const ConfigProblem& problem) {
            return std::tuple(problem.place.file != file, problem.place.file, problem.place.line);
        };
        return rank(a) < rank(b);
    };
    std::stable_sort(reading.problems.begin(), reading.problems.end(), order);
    return reading;
}

Config loadConfig(const path& file, const Host& host) {
    ConfigReading reading = readConfig(file, host);
    if (!reading.problems.empty()) {
        throw ConfigError(std::move(reading.problems));
    }
    return std::move(reading.config);
}

}  // namespace gridbridge::app
