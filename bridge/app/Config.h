#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

#include "backends/arc/ArcDescription.h"
#include "backends/command/CommandTemplates.h"
#include "backends/diracx/DiracxJdl.h"
#include "backends/htcondor/HTCondorCommands.h"
#include "backends/slurm/SlurmCommands.h"
#include "bridge/base/Secret.h"
#include "bridge/core/Access.h"
#include "bridge/core/ResourceRules.h"
#include "bridge/core/RunAs.h"
#include "bridge/http/TlsFiles.h"
#include "bridge/payload/ContainerCommands.h"
#include "bridge/payload/Member.h"
#include "bridge/payload/Site.h"

namespace gridbridge::app {

/// Where something is written; line 0 = the file as a whole.
struct Place {
    std::filesystem::path file;
    int line = 0;
    bool operator==(const Place&) const = default;
};

/// One `[[runners]]` section. docs/configuration.md explains the keys.
struct RunnerConfig {
    std::string name = {};
    std::string url = {};                  ///< As serverUrl() spells it.
    Secret token = {};                     ///< From `token`, `token_file` or `runner_file`.
    std::string tokenKey = {};             ///< `runners.NAME.token` or another one of these.
    Place tokenPlace = {};                 ///< Where that stands.
    std::filesystem::path tokenFile = {};  ///< The file that holds the token.
    std::string backend = {};
    int limit = 0;  ///< Open jobs of this runner.
    std::int64_t outputLimitKib = 4096;
    std::int64_t artifactLimit = payload::kMostMemberBytes;  ///< Bytes of one entry, packed.
    http::TlsFiles tls = {};
    std::vector<std::string> environment = {};  ///< NAME=value
    core::Access access = {};
    bool debugTraceDisabled = false;      ///< CI_DEBUG_TRACE has no effect.
    std::filesystem::path cacheDir = {};  ///< On the nodes; empty = there are no caches.
    std::uint64_t cacheLimit = std::uint64_t{20} << 30U;  ///< Bytes, for each account.
    std::chrono::seconds cacheAge = std::chrono::hours(30 * 24);
    std::vector<std::string> allowedImages = {};  ///< Patterns of payload::Glob; none = all.
    bool imageIgnored = false;   ///< Where the backend has no containers a job runs without.
    bool hasContainers = false;  ///< Its backend has.
    bool cancelsSoftly = true;   ///< Its backend has `after_script` run after a cancel.
    bool operator==(const RunnerConfig&) const = default;
};

/// One `[backends.NAME]` section.
struct BackendConfig {
    std::string name = {};
    std::string type = {};  ///< The name of a BackendType.
    std::filesystem::path workDir = {};
    std::chrono::seconds pollInterval{1};
    int maxPending = 20;
    std::chrono::seconds pendingLimit = std::chrono::hours(48);
    std::chrono::seconds minimumRunTime{0};
    int infrastructureRetries = 2;
    int slots = 1;
    core::RunAs runAs = {};  ///< Where one is the service's own account `trustedJobs` holds.
    bool trustedJobs = false;
    payload::ContainerCommands container = {};
    std::int64_t seed = 1;  ///< Of `simulated`, as is `faults`.
    double faults = 0;      ///< 0 to 1.
    payload::Site site = {};
    core::ResourceRules resources = {};
    SlurmConfig slurm = {};
    HTCondorConfig htcondor = {};
    CommandConfig command = {};
    DiracxConfig diracx = {};
    ArcConfig arc = {};
    /// The nodes see the work folder.
    bool sharesFolder() const {
        return type != "diracx" && type != "arc" && (type != "htcondor" || !copiesFiles(htcondor));
    }
    bool operator==(const BackendConfig&) const = default;
};

struct Config {
    std::filesystem::path file = {};  ///< Where it was read from.
    int concurrent = 1000;
    std::chrono::seconds checkInterval{3};
    std::filesystem::path stateDir = "/var/lib/gridbridge";
    std::chrono::seconds retention = std::chrono::hours(90 * 24);  ///< Of jobs that have ended.
    std::uint64_t minFreeSpace = std::uint64_t{2} << 30U;  ///< Bytes on the disk of `stateDir`.
    std::string logLevel = "info";  ///< trace, debug, info, warn, error, critical
    std::vector<RunnerConfig> runners = {};
    std::vector<BackendConfig> backends = {};

    const BackendConfig* backend(const std::string& name) const;
    /// The runner that has this token at this server.
    const RunnerConfig* runnerOf(const std::string& url, const Secret& token) const;
    bool operator==(const Config&) const = default;
};

/// One thing wrong with the configuration. Holds no secret.
struct ConfigProblem {
    Place place;
    std::string key;   ///< With its section, e.g. `runners.pool.limit`; empty = none.
    std::string what;  ///< Lower-case start, no full stop.
    std::string cure;  ///< Empty = `what` ends with it.

    /// `FILE:LINE: KEY: WHAT; CURE`, one line without control characters.
    std::string sentence() const;
    bool operator==(const ConfigProblem&) const = default;
};

/// What GitLab is told of the runner for what its backend can do.
void takeAbilities(RunnerConfig& runner, const BackendConfig& backend);

/// What is wrong with every configuration before its first `gridbridge register`.
ConfigProblem noRunner(const std::filesystem::path& file);

/// GitLab refused the runner's token; `message` is what it said.
ConfigProblem tokenRefused(const RunnerConfig& runner, const std::string& message);
/// The same where GitLab was asked for a new token and its answer was lost.
ConfigProblem renewalLost(const RunnerConfig& runner, const std::string& message);

/// A configuration that cannot be used, with everything found wrong; never empty.
class ConfigError : public std::runtime_error {
public:
    explicit ConfigError(std::vector<ConfigProblem> all);
    const std::vector<ConfigProblem> problems;
};

/// What the rules of a configuration ask the machine.
struct Host {
    uid_t uid = 0;  ///< Of this process.
    std::function<std::optional<uid_t>(const std::string& account)> uidOf;
};
Host thisHost();

struct ConfigReading {
    Config config;  ///< Where there are problems, as far as it was understood.
    std::vector<ConfigProblem> problems;
    std::map<std::string, Place> places;  ///< Of keys, named as in ConfigProblem::key.
};

/// Reads `file` and `config.d/*.toml` beside it, in the order of their names. Nothing is thrown
/// but std::bad_alloc.
ConfigReading readConfig(const std::filesystem::path& file, const Host& host);

/// The configuration, or ConfigError.
Config loadConfig(const std::filesystem::path& file, const Host& host);

/// Letters, digits, `.`, `_`, `-`: a name stands in commands, file names and log lines.
bool isName(const std::string& text);
inline constexpr std::size_t kLargestToken = 4096;
/// What may be a token: that many printable characters at most, and no blanks.
bool isToken(const std::string& text);
/// The one spelling of a server's address, without what does not count (http::parseBaseUrl), so
/// that equal texts are equal servers; nothing for what is no http or https address, and for one
/// with credentials or a query.
std::optional<std::string> serverUrl(const std::string& url);

/// A duration: `90` or `10 s`, `5 min`, `12 h`, `2 days`.
std::optional<std::chrono::seconds> parseDuration(const std::string& text);

/// Bytes of `2 GiB`, `500 MiB` or `64 KiB`; nothing when the text is no size.
std::optional<std::uint64_t> parseSize(const std::string& text);

}  // namespace gridbridge::app
