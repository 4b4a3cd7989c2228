#include "tests/fakegitlab/JobFile.h"

#include <toml++/toml.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace gridbridge::fakegitlab {

namespace {

/// One TOML table of which every key must be asked for.
class Table {
public:
    Table(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

    void text(const char* key, std::string& into) { scalar<std::string>(key, into, "a text"); }
    void flag(const char* key, bool& into) { scalar<bool>(key, into, "true or false"); }
    void number(const char* key, int& into) {
        std::int64_t value = into;
        scalar<std::int64_t>(key, value, "a whole number");
        into = static_cast<int>(value);
    }
    void seconds(const char* key, Seconds& into) {
        std::int64_t value = into.count();
        scalar<std::int64_t>(key, value, "a whole number of seconds");
        into = Seconds(value);
    }
    template <typename T, typename Read>
    void optional(const char* key, std::optional<T>& into, Read read) {
        if (table_.contains(key)) {
            T value{};
            read(key, value);
            into = std::move(value);
        }
    }
    /// A list of texts; a single text is a list of one.
    void texts(const char* key, std::vector<std::string>& into) {
        const auto* node = take(key);
        if (node == nullptr) {
            return;
        }
        into.clear();
        if (const auto one = node->value_exact<std::string>()) {
            into.push_back(*one);
            return;
        }
        const auto* list = node->as_array();
        if (list == nullptr) {
            fail(*node, key, "a list of texts");
        }
        for (const auto& item : *list) {
            const auto one = item.value_exact<std::string>();
            if (!one) {
                fail(item, key, "a list of texts");
            }
            into.push_back(*one);
        }
    }
    const toml::table* table(const char* key) {
        const auto* node = take(key);
        if (node != nullptr && !node->is_table()) {
            fail(*node, key, "a table");
        }
        return node == nullptr ? nullptr : node->as_table();
    }
    /// Calls `read(Table&)` for each entry of an array of tables.
    template <typename Read>
    void tables(const char* key, Read read) {
        const auto* node = take(key);
        if (node == nullptr) {
            return;
        }
        if (!node->is_array_of_tables()) {
            fail(*node, key, "a list of tables: [[" + std::string(key) + "]]");
        }
        for (const auto& item : *node->as_array()) {
            Table entry(*item.as_table(), where_);
            read(entry);
            entry.finish();
        }
    }
    void finish() const {
        for (const auto& [key, node] : table_) {
            const std::string name(key.str());
            if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
                throw std::runtime_error(at(node) + ": unknown key " + name);
            }
        }
    }

private:
    const toml::node* take(const char* key) {
        known_.emplace_back(key);
        return table_.get(key);
    }
    template <typename T>
    void scalar(const char* key, T& into, const std::string& what) {
        const auto* node = take(key);
        if (node == nullptr) {
            return;
        }
        const auto value = node->value_exact<T>();
        if (!value) {
            fail(*node, key, what);
        }
        into = *value;
    }
    std::string at(const toml::node& node) const {
        return where_ + ":" + std::to_string(node.source().begin.line);
    }
    [[noreturn]] void fail(const toml::node& node, const std::string& key,
                           const std::string& what) const {
        throw std::runtime_error(at(node) + ": " + key + " must be " + what);
    }

    const toml::table& table_;
    std::string where_;
    std::vector<std::string> known_;
};

toml::table parsed(const std::filesystem::path& path) {
    try {
        return toml::parse_file(path.string());
    } catch (const toml::parse_error& error) {
        throw std::runtime_error(path.filename().string() + ":" +
                                 std::to_string(error.source().begin.line) + ": " +
                                 std::string(error.description()));
    }
}

/// A table of names and texts.
template <typename Take>
void readTexts(Table& table, const char* name, const std::string& where, Take take) {
    const auto* texts = table.table(name);
    if (texts == nullptr) {
        return;
    }
    for (const auto& [key, node] : *texts) {
        const auto value = node.template value_exact<std::string>();
        if (!value) {
            throw std::runtime_error(where + ": " + std::string(key.str()) + " in " + name +
                                     " must be a text");
        }
        take(std::string(key.str()), *value);
    }
}

/// Short form `[variables] A = "b"` and long form `[[variable]] key = …`.
void readVariables(Table& job, const std::string& where, JobSpec& spec) {
    readTexts(job, "variables", where, [&](const std::string& key, const std::string& value) {
        spec.variables.push_back({.key = key, .value = value});
    });
    job.tables("variable", [&](Table& entry) {
        Variable variable;
        entry.text("key", variable.key);
        entry.text("value", variable.value);
        entry.flag("public", variable.isPublic);
        entry.flag("masked", variable.masked);
        entry.flag("raw", variable.raw);
        entry.flag("file", variable.file);
        spec.variables.push_back(std::move(variable));
    });
}

void readLists(Table& job, JobSpec& spec) {
    job.tables("artifacts", [&](Table& entry) {
        ArtifactSpec artifact;
        entry.text("name", artifact.name);
        entry.texts("paths", artifact.paths);
        entry.texts("exclude", artifact.exclude);
        entry.flag("untracked", artifact.untracked);
        entry.text("when", artifact.when);
        entry.text("expire_in", artifact.expireIn);
        entry.text("type", artifact.type);
        entry.text("format", artifact.format);
        spec.artifacts.push_back(std::move(artifact));
    });
    job.tables("cache", [&](Table& entry) {
        CacheSpec cache;
        entry.text("key", cache.key);
        entry.texts("paths", cache.paths);
        entry.flag("untracked", cache.untracked);
        entry.text("policy", cache.policy);
        entry.text("when", cache.when);
        entry.texts("fallback_keys", cache.fallbackKeys);
        spec.cache.push_back(std::move(cache));
    });
}

void readSpec(Table& job, JobSpec& spec) {
    job.text("name", spec.name);
    job.text("stage", spec.stage);
    job.text("project", spec.project);
    job.text("ref", spec.ref);
    job.text("ref_type", spec.refType);
    job.text("user", spec.userLogin);
    job.text("image", spec.image);
    job.texts("image_entrypoint", spec.imageEntrypoint);
    job.texts("image_pull_policy", spec.imagePullPolicy);
    job.number("git_depth", spec.gitDepth);
    job.flag("allow_git_fetch", spec.allowGitFetch);
    job.flag("merge_request", spec.mergeRequest);
    job.seconds("timeout", spec.timeout);
    job.texts("script", spec.script);
    job.texts("after_script", spec.afterScript);
    job.texts("release", spec.release);
    job.texts("pre_get_sources_script", spec.preGetSources);
    job.texts("post_get_sources_script", spec.postGetSources);
    job.texts("tags", spec.tags);
    job.texts("readable", spec.readable);
    job.texts("services", spec.services);
    job.texts("needs_features", spec.needsFeatures);
    job.texts("null", spec.nulls);
    job.texts("without", spec.without);
    job.text("cancel_when", spec.cancelWhen);
    job.flag("cancel_force", spec.cancelByForce);
    job.optional("cancel_after", spec.cancelAfter,
                 [&](const char* key, Seconds& into) { job.seconds(key, into); });
    job.optional("raw_body", spec.rawBody,
                 [&](const char* key, std::string& into) { job.text(key, into); });
    bool jwt = false;
    job.flag("jwt", jwt);
    spec.token = jwt ? TokenForm::Jwt : TokenForm::Opaque;
    if (const auto* payload = job.table("payload")) {
        std::ostringstream out;
        out << toml::json_formatter(*payload);
        spec.merge = out.str();
    }
}

void readContents(Table& expect, const char* name, const std::string& where,
                  std::map<std::string, std::string>& into) {
    readTexts(expect, name, where,
              [&](const std::string& key, const std::string& value) { into[key] = value; });
}

Expectation readExpectation(const toml::table& table, const std::string& where) {
    Expectation result;
    Table expect(table, where);
    expect.optional("state", result.state,
                    [&](const char* key, std::string& into) { expect.text(key, into); });
    expect.optional("reason", result.reason,
                    [&](const char* key, std::string& into) { expect.text(key, into); });
    expect.optional("exit_code", result.exitCode,
                    [&](const char* key, int& into) { expect.number(key, into); });
    expect.texts("log_contains", result.logContains);
    expect.optional(
        "artifacts", result.artifacts,
        [&](const char* key, std::vector<std::string>& into) { expect.texts(key, into); });
    readContents(expect, "files", where, result.files);
    readContents(expect, "reports", where, result.reports);
    expect.finish();
    return result;
}

std::vector<std::string> readStages(const std::filesystem::path& path) {
    std::vector<std::string> result;
    const auto table = parsed(path);
    Table reader(table, path.filename().string());
    reader.texts("stages", result);
    reader.finish();
    return result;
}

}  // namespace

JobFile readJobFile(const std::filesystem::path& path) {
    JobFile result;
    result.file = path.filename().string();
    result.spec.name = path.stem().string();
    const auto table = parsed(path);
    Table job(table, result.file);
    readSpec(job, result.spec);
    readVariables(job, result.file, result.spec);
    readLists(job, result.spec);
    job.texts("needs", result.needs);
    if (const auto* expect = job.table("expect")) {
        result.expect = readExpectation(*expect, result.file);
    }
    job.finish();
    return result;
}

JobFolder readJobFolder(const std::filesystem::path& folder) {
    JobFolder result;
    std::vector<std::filesystem::path> paths;
    if (!std::filesystem::is_directory(folder)) {
        throw std::runtime_error(folder.string() + " is no folder; name one that holds job files");
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().filename() == "stages.toml") {
            result.stages = readStages(entry.path());
        } else if (entry.path().extension() == ".toml") {
            paths.push_back(entry.path());
        }
    }
    if (paths.empty()) {
        throw std::runtime_error("no job file *.toml in " + folder.string());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
        result.jobs.push_back(readJobFile(path));
        const auto& stage = result.jobs.back().spec.stage;
        if (std::find(result.stages.begin(), result.stages.end(), stage) == result.stages.end()) {
            result.stages.push_back(stage);
        }
    }
    const auto rank = [&](const JobFile& job) {
        return std::find(result.stages.begin(), result.stages.end(), job.spec.stage);
    };
    std::stable_sort(result.jobs.begin(), result.jobs.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return result;
}

}  // namespace gridbridge::fakegitlab
