#include "bridge/payload/Variables.h"

#include <algorithm>
#include <array>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

/// All values of a job together, expanded. A body of 64 MiB can ask for far more.
constexpr std::size_t kMostExpanded = std::size_t{64} << 20;
/// Linux refuses to start programs with an environment string over 128 KiB.
constexpr std::size_t kLargeValue = std::size_t{100} << 10;

#if defined(__aarch64__)
constexpr auto kArchitecture = "linux/arm64";
#elif defined(__x86_64__)
constexpr auto kArchitecture = "linux/amd64";
#else
constexpr auto kArchitecture = "linux/unknown";
#endif

bool isNameStart(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool isNameChar(char c) {
    return isNameStart(c) || (c >= '0' && c <= '9');
}

bool isName(std::string_view text) {
    return !text.empty() && isNameStart(text.front()) &&
           std::all_of(text.begin(), text.end(), isNameChar);
}

/// bash refuses to assign the first six, and evaluates what is assigned to the last three.
bool isShellsOwn(std::string_view key) {
    constexpr std::array<std::string_view, 9> kNames = {"UID",      "EUID",      "PPID",
                                                        "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO",
                                                        "HISTCMD",  "OPTIND",    "SRANDOM"};
    return std::find(kNames.begin(), kNames.end(), key) != kNames.end();
}

bool isBridgesOwn(std::string_view key) {
    constexpr std::array<std::string_view, 9> kNames = {"GB_IN",       "GB_OUT",        "GB_CTL",
                                                        "GB_HOME_DIR", "GB_INSIDE_DIR", kBuildsDir,
                                                        kProjectDir,   kTmpDir,         kJobStatus};
    return std::find(kNames.begin(), kNames.end(), key) != kNames.end();
}

/// Why a variable cannot be handed to bash; nullptr = it can.
const char* obstacle(const std::string& key, const std::string& text) {
    if (!isName(key)) {
        return "its name is not valid in a shell";
    }
    if (isShellsOwn(key)) {
        return "the shell does not allow to set it";
    }
    if (isBridgesOwn(key)) {
        return "the name is used by the runner";
    }
    if (text.find('\0') != std::string::npos) {
        return "its value has a NUL byte";
    }
    return nullptr;
}

void append(Value& value, std::string_view text) {
    if (text.empty()) {
        return;
    }
    if (value.empty() || value.back().late) {
        value.push_back({false, std::string(text)});
    } else {
        value.back().text += text;
    }
}

std::size_t take(std::size_t wanted, std::size_t& budget) {
    const auto granted = std::min(wanted, budget);
    budget -= granted;
    return granted;
}

void append(Value& value, std::string_view text, std::size_t& budget) {
    append(value, text.substr(0, take(text.size(), budget)));
}

void append(Value& value, const Value& more, std::size_t& budget) {
    for (const auto& piece : more) {
        if (!piece.late) {
            append(value, piece.text, budget);
        } else if (take(piece.text.size(), budget) == piece.text.size()) {
            value.push_back(piece);
        }
    }
}

Value pathInTmp(const std::string& name) {
    return {{true, std::string(kTmpDir)}, {false, "/" + name}};
}

/// The name after a `$`, as Go's os.Expand reads it.
struct Reference {
    std::string_view name;   ///< Empty = no reference.
    std::size_t length = 0;  ///< Characters after the `$` that belong to it.
};

Reference referenceAt(std::string_view text) {
    constexpr std::string_view kSpecial = "*#$@!?-0123456789";
    if (text.empty()) {
        return {};
    }
    if (text.front() == '{') {
        const auto end = text.find('}');
        if (end == std::string_view::npos) {
            return {{}, 1};
        }
        return {text.substr(1, end - 1), end + 1};
    }
    if (kSpecial.find(text.front()) != std::string_view::npos) {
        return {text.substr(0, 1), 1};
    }
    const auto end = std::find_if_not(text.begin(), text.end(), isNameChar);
    const auto length = static_cast<std::size_t>(end - text.begin());
    return {text.substr(0, length), length};
}

std::string exportStatement(const std::string& key, const Value& value, bool file) {
    if (!file) {
        return "export " + key + "=" + shellWord(value) + "\n";
    }
    const auto path = shellWord(pathInTmp(key));
    return "printf '%s' " + shellWord(value) + " >" + path + "\nexport " + key + "=" + path + "\n";
}

}  // namespace

std::string shellWord(const Value& value) {
    if (value.empty()) {
        return "''";
    }
    std::string word;
    for (const auto& piece : value) {
        word += piece.late ? "\"$" + piece.text + "\"" : shellQuoted(piece.text);
    }
    return word;
}

std::string plainText(const Value& value) {
    std::string text;
    for (const auto& piece : value) {
        text += piece.late ? "$" + piece.text : piece.text;
    }
    return text;
}

Variables::Variables(const gitlab::JobDescription& job) {
    addPaths();
    addPayload(job);
}

Variables::Variables(const gitlab::JobDescription& job, const ScriptContext& context) {
    addText("CI_RUNNER_SHORT_TOKEN", context.runnerShortToken);
    for (const auto& item : context.environment) {
        addConfigured(item);
    }
    addPaths();
    // Every job has a folder of its own, so that it is the first and only one there.
    addText("CI_CONCURRENT_ID", "0");
    addText("CI_CONCURRENT_PROJECT_ID", "0");
    addText("CI_SERVER", "yes");
    addLate("CI_JOB_STATUS", {{true, std::string(kJobStatus)}});
    addText("CI_JOB_TIMEOUT", std::to_string(job.timeout.count()));
    if (!context.tlsCa.empty()) {
        add({.key = "CI_SERVER_TLS_CA_FILE", .text = context.tlsCa, .raw = true, .file = true});
    }
    addPayload(job);
    addText("CI_DISPOSABLE_ENVIRONMENT", "true");
    addText("CI_RUNNER_VERSION", context.version);
    addText("CI_RUNNER_REVISION", context.version);
    addText("CI_RUNNER_EXECUTABLE_ARCH", kArchitecture);
    addLate("RUNNER_TEMP_PROJECT_DIR", {{true, std::string(kTmpDir)}});
    addLate("GITLAB_ENV", pathInTmp("gitlab_runner_env"));
}

void Variables::add(Entry entry) {
    last_[entry.key] = entries_.size();
    entries_.push_back(std::move(entry));
}

void Variables::addText(std::string_view key, std::string text) {
    add({.key = std::string(key), .text = std::move(text), .raw = true});
}

void Variables::addLate(std::string_view key, Value value) {
    add({.key = std::string(key), .late = std::move(value), .raw = true});
}

void Variables::addConfigured(const std::string& nameAndValue) {
    const auto equals = nameAndValue.find('=');
    add({.key = nameAndValue.substr(0, equals),
         .text = equals == std::string::npos ? std::string() : nameAndValue.substr(equals + 1)});
}

void Variables::addPaths() {
    addLate("CI_BUILDS_DIR", {{true, std::string(kBuildsDir)}});
    addLate("CI_PROJECT_DIR", {{true, std::string(kProjectDir)}});
}

void Variables::addPayload(const gitlab::JobDescription& job) {
    for (const auto& v : job.variables) {
        add({.key = v.key, .text = v.value, .raw = v.raw, .file = v.file, .masked = v.masked});
    }
}

void Variables::appendReference(Value& value, const std::string& name, std::size_t& budget) const {
    if (name == "$") {
        append(value, name, budget);
        return;
    }
    const auto found = last_.find(name);
    if (found == last_.end()) {
        return;
    }
    const auto& entry = entries_[found->second];
    if (entry.file) {
        append(value, pathInTmp(name), budget);
    } else if (!entry.late.empty()) {
        append(value, entry.late, budget);
    } else {
        append(value, entry.text, budget);
    }
}

Value Variables::expand(std::string_view text, std::size_t& budget) const {
    Value value;
    while (budget > 0) {
        const auto dollar = text.find('$');
        append(value, text.substr(0, dollar), budget);
        if (dollar == std::string_view::npos) {
            break;
        }
        const auto reference = referenceAt(text.substr(dollar + 1));
        if (reference.length == 0) {
            append(value, "$", budget);
        } else if (!reference.name.empty()) {
            appendReference(value, std::string(reference.name), budget);
        }
        text.remove_prefix(dollar + 1 + reference.length);
    }
    return value;
}

Value Variables::valueOf(const Entry& entry, std::size_t& budget) const {
    Value value;
    if (!entry.late.empty()) {
        append(value, entry.late, budget);
    } else if (entry.raw) {
        append(value, entry.text, budget);
    } else {
        return expand(entry.text, budget);
    }
    return value;
}

std::string Variables::setting(std::string_view key) const {
    const auto found = last_.find(std::string(key));
    if (found == last_.end()) {
        return {};
    }
    auto budget = kLargeValue;
    return plainText(valueOf(entries_[found->second], budget));
}

Result<std::string> Variables::environmentFile(std::vector<std::string>& warnings) const {
    std::string text = "[ -d \"$GB_TMP_DIR\" ] || mkdir -p -- \"$GB_TMP_DIR\"\n";
    auto budget = kMostExpanded;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const auto& entry = entries_[i];
        if (last_.at(entry.key) != i) {
            continue;
        }
        if (const char* why = obstacle(entry.key, entry.text)) {
            warnings.push_back("variable \"" + oneLine(entry.key) + "\" is skipped: " + why);
            continue;
        }
        const auto value = valueOf(entry, budget);
        if (budget == 0) {
            return permanentError("the job's variables are longer than 64 MiB when expanded");
        }
        const auto word = plainText(value);
        if (word.find('\0') != std::string::npos) {
            warnings.push_back("variable \"" + entry.key +
                               "\" is skipped: its value has a NUL byte");
            continue;
        }
        if (!entry.file && word.size() > kLargeValue) {
            warnings.push_back("variable \"" + entry.key +
                               "\" is longer than 100 KiB: programs may not start because of it");
        }
        text += exportStatement(entry.key, value, entry.file);
    }
    // Last, so that what a script left there wins. A bad line fails the stage, as it should.
    text +=
        ": >>\"$GITLAB_ENV\"\n"
        "while IFS=' \t' read -r gb_line; do export \"$gb_line\"; done <\"$GITLAB_ENV\"\n"
        "unset gb_line\n";
    return text;
}

std::vector<std::string> Variables::maskPhrases() const {
    constexpr std::size_t kShortestPart = 8;
    std::vector<std::string> phrases;
    auto budget = kMostExpanded;
    for (const auto& entry : entries_) {
        if (!entry.masked) {
            continue;
        }
        const auto value = valueOf(entry, budget);
        for (const auto& piece : value) {
            // Around a path of the node only parts that are secrets by themselves can be hidden.
            const bool whole = value.size() == 1;
            if (!piece.late && (whole || piece.text.size() >= kShortestPart)) {
                phrases.push_back(piece.text);
            }
        }
    }
    std::sort(phrases.begin(), phrases.end());
    phrases.erase(std::unique(phrases.begin(), phrases.end()), phrases.end());
    return phrases;
}

}  // namespace gridbridge::payload
