#include "bridge/app/ConfigFile.h"

#include <toml++/toml.h>

#include <optional>
#include <sys/stat.h>

#include "bridge/app/Text.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge::app {

namespace {

constexpr std::size_t kLargestFile = 1024 * 1024;

std::vector<std::string_view> keyNames(SectionKind section) {
    std::vector<std::string_view> names;
    for (const KnownKey& key : knownKeys()) {
        if (key.section == section) {
            names.push_back(key.name);
        }
    }
    if (section == SectionKind::Top) {
        names.insert(names.end(), {"runners", "backends"});
    }
    return names;
}

const KnownKey* findKey(SectionKind section, std::string_view name) {
    for (const KnownKey& key : knownKeys()) {
        if (key.section == section && key.name == name) {
            return &key;
        }
    }
    return nullptr;
}

std::string quoted(std::string_view text) {
    return "\"" + std::string(text) + "\"";
}

/// A key of another section usually stands below the wrong header: TOML ends a section only where
/// the next one starts.
std::string unknownKeyCure(SectionKind section, std::string_view name) {
    if (const auto near = nearest(name, keyNames(section)); !near.empty()) {
        return "did you mean " + quoted(near) + "?";
    }
    if (findKey(SectionKind::Top, name) != nullptr) {
        return "it belongs above the first [[runners]] or [backends.NAME]";
    }
    if (findKey(SectionKind::Runner, name) != nullptr) {
        return "it belongs below a [[runners]]";
    }
    if (findKey(SectionKind::Backend, name) != nullptr) {
        return "it belongs below a [backends.NAME]";
    }
    std::string cure = "remove it; known here are";
    std::string_view separator = " ";
    for (const std::string_view known : keyNames(section)) {
        cure.append(separator).append(known);
        separator = ", ";
    }
    return cure;
}

std::string_view typeName(toml::node_type type) {
    switch (type) {
        case toml::node_type::none:
            return "nothing";
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "a list";
        case toml::node_type::string:
            return "a text";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a number with a fraction";
        case toml::node_type::boolean:
            return "true or false";
        case toml::node_type::date:
        case toml::node_type::time:
        case toml::node_type::date_time:
            return "a date or time";
    }
    return "something else";
}

std::string_view wantedName(ValueKind kind) {
    switch (kind) {
        case ValueKind::Integer:
            return "an integer";
        case ValueKind::Number:
            return "a number";
        case ValueKind::Text:
            return "a text in quotes";
        case ValueKind::Flag:
            return "true or false";
        case ValueKind::TextList:
            return "a list of texts";
        case ValueKind::Duration:
            return "seconds or a text with a unit";
    }
    return "another type";
}

std::optional<RawValue> valueOf(const toml::node& node, ValueKind kind) {
    const bool integer = kind == ValueKind::Integer || kind == ValueKind::Duration;
    const bool text = kind == ValueKind::Text || kind == ValueKind::Duration;
    if (const auto* number = node.as_integer(); number != nullptr && integer) {
        return RawValue(number->get());
    }
    if (const auto number = node.value<double>(); number && kind == ValueKind::Number) {
        return RawValue(*number);
    }
    if (const auto* string = node.as_string(); string != nullptr && text) {
        return RawValue(string->get());
    }
    if (const auto* flag = node.as_boolean(); flag != nullptr && kind == ValueKind::Flag) {
        return RawValue(flag->get());
    }
    const auto* array = node.as_array();
    if (array == nullptr || kind != ValueKind::TextList) {
        return std::nullopt;
    }
    std::vector<std::string> texts;
    for (const toml::node& element : *array) {
        if (element.as_string() == nullptr) {
            return std::nullopt;
        }
        texts.push_back(element.as_string()->get());
    }
    return RawValue(std::move(texts));
}

struct TokenPlace {
    Place place;
    std::string key;
};

/// Reads one parsed file.
class FileReader {
public:
    FileReader(std::filesystem::path file, FileRole role, RawConfig& config,
               std::vector<ConfigProblem>& problems)
        : file_(std::move(file)), role_(role), config_(config), problems_(problems) {}

    void read(const toml::table& root) {
        for (const auto& [key, node] : root) {
            if (key.str() == "runners") {
                readRunners(node);
            } else if (key.str() == "backends") {
                readBackends(node);
            } else if (role_ == FileRole::Addition && findKey(SectionKind::Top, key.str())) {
                report(key, std::string(key.str()),
                       "files in config.d may only add [[runners]] and [backends.NAME]",
                       "move it to the main file");
            } else {
                readEntry(SectionKind::Top, key, node, config_.top);
            }
        }
    }

    /// Where the file holds its first token.
    const std::optional<TokenPlace>& token() const { return token_; }

private:
    Place placeOf(const toml::source_region& source) const {
        return {file_, static_cast<int>(source.begin.line)};
    }

    void report(const toml::key& at, std::string key, std::string what, std::string cure) {
        problems_.push_back(
            {placeOf(at.source()), std::move(key), std::move(what), std::move(cure)});
    }

    void readEntry(SectionKind kind, const toml::key& key, const toml::node& node,
                   RawSection& section) {
        const std::string name(key.str());
        const std::string path = section.keyPath(name);
        const KnownKey* known = findKey(kind, name);
        if (known == nullptr) {
            report(key, path, "unknown key", unknownKeyCure(kind, name));
            return;
        }
        if (auto value = valueOf(node, known->kind)) {
            section.entries.insert_or_assign(name,
                                             RawEntry{std::move(*value), placeOf(key.source())});
            return;
        }
        section.faulty.insert(name);
        std::string what = "is " + std::string(typeName(node.type()));
        if (node.is_array() && known->kind == ValueKind::TextList) {
            what = "is a list with something else than texts in it";
        }
        report(key, path, std::move(what),
               "write " + std::string(wantedName(known->kind)) + ", like " + name + " = " +
                   std::string(known->example));
    }

    void readRunners(const toml::node& node) {
        const toml::array* array = node.as_array();
        if (array == nullptr || !array->is_homogeneous<toml::table>()) {
            config_.runnersFaulty = true;
            problems_.push_back({placeOf(node.source()), "runners", "is not a list of sections",
                                 "start each runner with the line [[runners]]"});
            return;
        }
        for (const toml::node& element : *array) {
            const toml::table& table = *element.as_table();
            const auto name = table["name"].value<std::string>();
            RawSection section{name ? "runners." + *name : "runners", placeOf(table.source())};
            for (const auto& [key, value] : table) {
                readEntry(SectionKind::Runner, key, value, section);
                if (key.str() == "token" && !token_) {
                    token_ = TokenPlace{placeOf(key.source()), section.keyPath("token")};
                }
            }
            config_.runners.push_back(std::move(section));
        }
    }

    void readBackends(const toml::node& node) {
        const toml::table* backends = node.as_table();
        if (backends == nullptr) {
            config_.backendsFaulty = true;
            problems_.push_back({placeOf(node.source()), "backends", "is not a section",
                                 "start each backend with a line like [backends.here]"});
            return;
        }
        for (const auto& [key, value] : *backends) {
            const std::string name(key.str());
            const toml::table* table = value.as_table();
            if (table == nullptr) {
                config_.backendsFaulty = true;
                report(key, "backends." + name, "is not a section",
                       "a backend starts with a line like [backends.here]");
                continue;
            }
            RawSection section{"backends." + name, placeOf(key.source())};
            for (const auto& [entry, entryValue] : *table) {
                readEntry(SectionKind::Backend, entry, entryValue, section);
            }
            config_.backends.emplace_back(name, std::move(section));
        }
    }

    std::filesystem::path file_;
    FileRole role_;
    RawConfig& config_;
    std::vector<ConfigProblem>& problems_;
    std::optional<TokenPlace> token_;
};

}  // namespace

namespace {
using enum SectionKind;

constexpr KnownKey kKeys[] = {
    {Top, "concurrent", ValueKind::Integer, "1000"},
    {Top, "check_interval", ValueKind::Duration, "3"},
    {Top, "state_dir", ValueKind::Text, "\"/var/lib/gridbridge\""},
    {Top, "log_level", ValueKind::Text, "\"info\""},
    {Top, "retention", ValueKind::Duration, "\"90 days\""},
    {Top, "min_free_space", ValueKind::Text, "\"2 GiB\""},
    {Runner, "name", ValueKind::Text, "\"pool\""},
    {Runner, "url", ValueKind::Text, "\"https://gitlab.example.org\""},
    {Runner, "token", ValueKind::Text, "\"glrt-...\""},
    {Runner, "token_file", ValueKind::Text, "\"/etc/gridbridge/pool.token\""},
    {Runner, "runner_file", ValueKind::Text, "\"/etc/gridbridge/my-runner-data.json\""},
    {Runner, "backend", ValueKind::Text, "\"here\""},
    {Runner, "limit", ValueKind::Integer, "500"},
    {Runner, "output_limit", ValueKind::Integer, "4096"},
    {Runner, "artifact_limit", ValueKind::Text, "\"10 GiB\""},
    {Runner, "tls_ca_file", ValueKind::Text, "\"/etc/ssl/site-ca.pem\""},
    {Runner, "tls_cert_file", ValueKind::Text, "\"/etc/gridbridge/client.pem\""},
    {Runner, "tls_key_file", ValueKind::Text, "\"/etc/gridbridge/client.key\""},
    {Runner, "debug_trace_disabled", ValueKind::Flag, "true or false"},
    {Runner, "image", ValueKind::Text, "\"fail\""},
    {Runner, "allowed_images", ValueKind::TextList, "[\"python:*\"]"},
    {Runner, "environment", ValueKind::TextList, "[\"NAME=value\"]"},
    {Runner, "allowed_projects", ValueKind::TextList, "[\"physics/*\"]"},
    {Runner, "banned_projects", ValueKind::TextList, "[\"physics/mining\"]"},
    {Runner, "banned_users", ValueKind::TextList, "[\"mallory\"]"},
    {Runner, "cache_dir", ValueKind::Text, "\"/shared/gridbridge-cache\""},
    {Runner, "cache_limit", ValueKind::Text, "\"20 GiB\""},
    {Runner, "cache_age", ValueKind::Duration, "\"30 days\""},
    {Backend, "type", ValueKind::Text, "\"local\""},
    {Backend, "work_dir", ValueKind::Text, "\"/srv/gridbridge\""},
    {Backend, "poll_interval", ValueKind::Duration, "1"},
    {Backend, "max_pending", ValueKind::Integer, "20"},
    {Backend, "pending_limit", ValueKind::Duration, "\"2 days\""},
    {Backend, "minimum_run_time", ValueKind::Duration, "\"10 min\""},
    {Backend, "infrastructure_retries", ValueKind::Integer, "2"},
    {Backend, "slots", ValueKind::Integer, "4"},
    {Backend, "run_as", ValueKind::Text, "\"ci\""},
    {Backend, "project_run_as", ValueKind::TextList, "[\"physics/**=ciphys\"]"},
    {Backend, "trusted_jobs", ValueKind::Flag, "true"},
    {Backend, "container", ValueKind::Text, "\"podman\""},
    {Backend, "container_command", ValueKind::TextList,
     "[\"podman\", \"run\", \"--rm\", \"--volume={binds}:{binds}\", \"{image}\"]"},
    {Backend, "container_pull", ValueKind::TextList, "[\"podman\", \"pull\", \"{image}\"]"},
    {Backend, "container_stop", ValueKind::TextList, "[\"podman\", \"rm\", \"-f\", \"{name}\"]"},
    {Backend, "container_binds", ValueKind::TextList, "[\"/cvmfs\"]"},
    {Backend, "shell_init", ValueKind::Text, "\"module load gcc\""},
    {Backend, "scratch", ValueKind::Text, "\"/scratch\""},
    {Backend, "min_scratch", ValueKind::Text, "\"20 GiB\""},
    {Backend, "home", ValueKind::Text, "\"private\""},
    {Backend, "builds_dir", ValueKind::Text, "\"/builds\""},
    {Backend, "seed", ValueKind::Integer, "1", "simulated"},
    {Backend, "faults", ValueKind::Number, "0.5", "simulated"},
    {Backend, "cpus", ValueKind::Integer, "1"},
    {Backend, "max_cpus", ValueKind::Integer, "16"},
    {Backend, "memory", ValueKind::Text, "\"2 GiB\""},
    {Backend, "max_memory", ValueKind::Text, "\"64 GiB\""},
    {Backend, "disk", ValueKind::Text, "\"10 GiB\""},
    {Backend, "max_disk", ValueKind::Text, "\"100 GiB\""},
    {Backend, "gpus", ValueKind::Integer, "0"},
    {Backend, "max_gpus", ValueKind::Integer, "2"},
    {Backend, "wall_time", ValueKind::Duration, "\"1 h\""},
    {Backend, "max_wall_time", ValueKind::Duration, "\"12 h\""},
    {Backend, "queues", ValueKind::TextList, "[\"short\", \"long\"]"},
    {Backend, "accounts", ValueKind::TextList, "[\"physics\"]"},
    {Backend, "project_accounts", ValueKind::TextList, "[\"physics/**=physics\"]"},
    {Backend, "partition", ValueKind::Text, "\"short\"", "slurm"},
    {Backend, "account", ValueKind::Text, "\"physics\"", "slurm"},
    {Backend, "qos", ValueKind::Text, "\"normal\"", "slurm"},
    {Backend, "submit_options", ValueKind::TextList, "[\"--mem=4G\"]"},
    {Backend, "slurm_conf", ValueKind::Text, "\"/etc/slurm/slurm.conf\"", "slurm"},
    {Backend, "schedd", ValueKind::Text, "\"submit@example.org\"", "htcondor"},
    {Backend, "condor_config", ValueKind::Text, "\"/etc/condor/condor_config\"", "htcondor"},
    {Backend, "file_transfer", ValueKind::Flag, "true", "htcondor"},
    {Backend, "spool", ValueKind::Flag, "true", "htcondor"},
    {Backend, "url", ValueKind::Text, "\"https://diracx.example.org\"", "diracx arc"},
    {Backend, "tls_ca_file", ValueKind::Text, "\"/etc/ssl/site-ca.pem\"", "diracx arc"},
    {Backend, "credentials", ValueKind::Text, "\"/var/lib/gridbridge-dirac/credentials.json\"",
     "diracx"},
    {Backend, "job_type", ValueKind::Text, "\"User\"", "diracx dirac-cli"},
    {Backend, "cpu_time_factor", ValueKind::Number, "1.0", "diracx dirac-cli"},
    {Backend, "sites", ValueKind::TextList, "[\"LCG.CERN.ch\"]", "diracx dirac-cli"},
    {Backend, "banned_sites", ValueKind::TextList, "[\"LCG.Broken.org\"]", "diracx dirac-cli"},
    {Backend, "tags", ValueKind::TextList, "[\"GPU\"]", "diracx dirac-cli"},
    {Backend, "platform", ValueKind::Text, "\"x86_64-el9\"", "diracx dirac-cli"},
    {Backend, "reruns", ValueKind::Text, "\"kill\"", "diracx dirac-cli"},
    {Backend, "live_log_listen", ValueKind::Text, "\"0.0.0.0:9253\"", "diracx dirac-cli"},
    {Backend, "live_log_url", ValueKind::Text, "\"https://bridge.example.org:9253\"",
     "diracx dirac-cli"},
    {Backend, "live_log_cert_file", ValueKind::Text, "\"/etc/gridbridge/live.pem\"",
     "diracx dirac-cli"},
    {Backend, "live_log_key_file", ValueKind::Text, "\"/etc/gridbridge/live.key\"",
     "diracx dirac-cli"},
    {Backend, "live_log_ca_file", ValueKind::Text, "\"/etc/ssl/site-ca.pem\"", "diracx dirac-cli"},
    {Backend, "proxy", ValueKind::Text, "\"/var/lib/gridbridge-dirac/proxy.pem\"", "dirac-cli"},
    {Backend, "group", ValueKind::Text, "\"lhcb_user\"", "dirac-cli"},
    {Backend, "tls_cert_file", ValueKind::Text, "\"/etc/gridbridge/arc.pem\"", "arc"},
    {Backend, "tls_key_file", ValueKind::Text, "\"/etc/gridbridge/arc.key\"", "arc"},
    {Backend, "token_file", ValueKind::Text, "\"/run/gridbridge/arc.token\"", "arc"},
    {Backend, "queue", ValueKind::Text, "\"short\"", "arc"},
    {Backend, "bin_dir", ValueKind::Text, "\"/opt/batch/bin\"", "slurm htcondor command dirac-cli"},
    {Backend, "preset", ValueKind::Text, "\"sge\"", "command"},
    {Backend, "command_environment", ValueKind::TextList, "[\"SGE_ROOT=/opt/sge\"]",
     "command dirac-cli"},
    {Backend, "submit", ValueKind::TextList, "[\"qsub\", \"-N\", \"{name}\", \"{script}\"]",
     "command"},
    {Backend, "submit_id", ValueKind::Text, "'(?<id>\\d+)'", "command"},
    {Backend, "submit_refused", ValueKind::Text, "'unknown queue'", "command"},
    {Backend, "submit_full", ValueKind::Text, "'too many jobs'", "command"},
    {Backend, "status", ValueKind::TextList, "[\"qstat\", \"-u\", \"{user}\"]", "command"},
    {Backend, "status_job", ValueKind::Text, "'^(?<id>\\d+) (?<state>\\w+) (?<name>\\S+)$'",
     "command"},
    {Backend, "status_other", ValueKind::Text, "'job-ID.*'", "command"},
    {Backend, "status_empty", ValueKind::Text, "'no jobs'", "command"},
    {Backend, "status_json", ValueKind::Text, "\"Jobs\"", "command"},
    {Backend, "status_members", ValueKind::TextList, "[\"state=job_state\", \"name=Job_Name\"]",
     "command"},
    {Backend, "failed_states", ValueKind::Text, "'E.*'", "command"},
    {Backend, "held_states", ValueKind::Text, "'H'", "command"},
    {Backend, "pending_states", ValueKind::Text, "'Q|W'", "command"},
    {Backend, "running_states", ValueKind::Text, "'R'", "command"},
    {Backend, "ended_states", ValueKind::Text, "'C'", "command"},
    {Backend, "result", ValueKind::TextList, "[\"qacct\", \"-j\", \"{name}\"]", "command"},
    {Backend, "result_end", ValueKind::Text, "'exit_status +(?<exit>\\d+)'", "command"},
    {Backend, "result_none", ValueKind::Text, "'not found'", "command"},
    {Backend, "result_wall_time", ValueKind::Text, "'TIMEOUT'", "command"},
    {Backend, "result_memory", ValueKind::Text, "'out of memory'", "command"},
    {Backend, "result_node", ValueKind::Text, "'node failure'", "command"},
    {Backend, "cancel", ValueKind::TextList, "[\"qdel\", \"{id}\"]", "command"},
    {Backend, "cancel_gone", ValueKind::Text, "'does not exist'", "command"},
};
}  // namespace

bool KnownKey::isOf(std::string_view backendType) const {
    const auto words = " " + std::string(type) + " ";
    return type.empty() || words.find(" " + std::string(backendType) + " ") != std::string::npos;
}

const std::vector<KnownKey>& knownKeys() {
    static const std::vector<KnownKey> keys(std::begin(kKeys), std::end(kKeys));
    return keys;
}

std::string RawSection::keyPath(std::string_view key) const {
    return label + (label.empty() || key.empty() ? "" : ".") + std::string(key);
}

void readConfigFile(const std::filesystem::path& file, FileRole role, RawConfig& config,
                    std::vector<ConfigProblem>& problems) {
    const auto content = readSmallFile(file, kLargestFile);
    if (!content) {
        config.runnersFaulty = config.backendsFaulty = true;
        problems.push_back({{file, 0},
                            "",
                            content.error().message,
                            role == FileRole::Main
                                ? "create it or make it readable, or name another with --config"
                                : "repair or remove it"});
        return;
    }
    try {
        FileReader reader(file, role, config, problems);
        reader.read(toml::parse(content->text));
        if (reader.token() && (content->mode & S_IROTH) != 0) {
            problems.push_back({reader.token()->place, reader.token()->key,
                                "the file holds a token and can be read by every account",
                                "run chmod 600 " + file.string()});
        }
    } catch (const toml::parse_error& fault) {
        config.runnersFaulty = config.backendsFaulty = true;
        problems.push_back(
            {{file, static_cast<int>(fault.source().begin.line)},
             "",
             "is not valid TOML: " + std::string(fault.description()),
             "correct this line: a text stands in quotes, a key only once in its section"});
    }
}

}  // namespace gridbridge::app
