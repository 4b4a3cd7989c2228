#include "bridge/payload/ArtifactPlan.h"

#include <algorithm>

#include "bridge/base/Utf8.h"
#include "bridge/payload/Expansion.h"
#include "bridge/payload/Paths.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/Variables.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kLongestPath = 4096;

Value expanded(const Variables& variables, const std::string& text) {
    auto budget = kLongestPath;
    return variables.expand(text, budget);
}

/// A text of the entry with nothing left to expand.
struct Expanded {
    std::string text;
    std::optional<std::string> below;  ///< As a path below the project folder, if it leads there.
};

/// As far as the service can do it.
Expanded expandedHere(const Variables& variables, const std::string& text) {
    auto value = expanded(variables, text);
    Expanded result{plainText(value), std::nullopt};
    const bool underProject =
        !value.empty() && value.front() == Piece{true, std::string(kProjectDir)};
    if (underProject) {
        value.erase(value.begin());
    }
    if (std::any_of(value.begin(), value.end(), [](const Piece& piece) { return piece.late; })) {
        return result;
    }
    const auto rest = plainText(value);
    if (underProject ? rest.empty() || rest.starts_with('/') : !rest.starts_with('/')) {
        result.below = rest;
    }
    return result;
}

/// What the node, where the project folder is `project`, made of it.
Expanded expandedThere(std::string text, const std::string& project) {
    const auto rest = text.substr(text.starts_with(project) ? project.size() : 0);
    const bool absolute = text.starts_with('/');
    const bool inside = rest.size() < text.size() && (rest.empty() || rest.starts_with('/'));
    return {std::move(text), inside || !absolute ? std::optional(rest) : std::nullopt};
}

ArtifactPlan::Path planPath(const std::string& text, const Expanded& value) {
    ArtifactPlan::Path path;
    path.shown = oneLine(text);
    if (value.text.empty()) {
        path.problem = "WARNING: No matching files. Path is empty.";
        return path;
    }
    const auto clean = value.below ? cleanedPath(*value.below) : std::nullopt;
    if (!clean || clean->find('\0') != std::string::npos) {
        path.problem =
            "WARNING: processPath: artifact path is not a subpath of project directory: " +
            path.shown;
        path.outside = true;
        return path;
    }
    path.glob = Glob::parse(*clean);
    if (!path.glob) {
        path.problem = "WARNING: " + path.shown + ": syntax error in pattern";
    }
    return path;
}

/// `name` is expanded; GitLab's own default stands where the job gives none.
std::string filenameOf(const gitlab::ArtifactEntry& entry, const std::string& name) {
    constexpr std::size_t kLongestName = 200;
    const std::string ending = entry.format == "zip" ? ".zip" : entry.format == "gzip" ? ".gz" : "";
    if (entry.name.empty()) {
        return "artifacts" + ending;
    }
    auto text = name.substr(0, name.find_last_not_of('/') + 1);
    text = oneLine(validUtf8(text.substr(text.rfind('/') + 1)));
    text = text.substr(text.rfind('/') + 1).substr(0, kLongestName);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '"' || c == '\\'; }, '_');
    return (text.empty() || text == "." || text == ".." ? "default" : text) + ending;
}

Error tooLargePlan() {
    return permanentError("the patterns of these artifacts are longer than " +
                          std::to_string(kLargestPlan >> 10U) + " KiB, alternatives written out");
}

/// The texts of textsOf(), expanded, as a plan.
Result<ArtifactPlan> planOf(const gitlab::ArtifactEntry& entry,
                            const std::vector<Expanded>& texts) {
    ArtifactPlan plan;
    auto next = texts.begin();
    std::size_t length = 0;
    const auto fits = [&](const ArtifactPlan::Path& path) {
        length += path.glob ? path.glob->expression().size() : 0;
        return length <= kLargestPlan;
    };
    plan.untracked = entry.untracked;
    plan.filename = filenameOf(entry, next->text);
    for (const auto& text : entry.paths) {
        plan.paths.push_back(planPath(text, *++next));
        // The project folder itself: all that is in it.
        auto& glob = plan.paths.back().glob;
        glob = glob && glob->path() == "." ? Glob::parse("**") : std::move(glob);
        if (!fits(plan.paths.back())) {
            return tooLargePlan();
        }
    }
    for (const auto& text : entry.exclude) {
        plan.excluded.push_back(planPath(text, *++next));
        if (!fits(plan.excluded.back())) {
            return tooLargePlan();
        }
    }
    plan.excludedOnNode.resize(plan.excluded.size());
    return plan;
}

/// What stands before each NUL; nothing when there is more or less than so many times that.
std::optional<std::vector<std::string>> fieldsOf(std::string_view text, std::size_t count) {
    std::vector<std::string> fields;
    while (!text.empty() && fields.size() < count) {
        const auto end = text.find('\0');
        if (end == std::string_view::npos) {
            return std::nullopt;
        }
        fields.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return text.empty() && fields.size() == count ? std::optional(fields) : std::nullopt;
}

/// A count as the node writes it; nothing for all else.
std::optional<std::int64_t> countOf(const std::string& text) {
    constexpr std::size_t kMostDigits = 12;
    const bool digits =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    return digits && !text.empty() && text.size() <= kMostDigits ? std::optional(std::stoll(text))
                                                                 : std::nullopt;
}

Error strangeNames() {
    return permanentError("what the node tells about the artifacts cannot be understood");
}

}  // namespace

bool isCollected(const gitlab::ArtifactEntry& entry) {
    return (entry.format == "zip" || entry.format == "gzip" || entry.format == "raw") &&
           (entry.untracked || !entry.paths.empty());
}

std::vector<std::string> textsOf(const gitlab::ArtifactEntry& entry) {
    std::vector<std::string> texts = {entry.name};
    texts.insert(texts.end(), entry.paths.begin(), entry.paths.end());
    texts.insert(texts.end(), entry.exclude.begin(), entry.exclude.end());
    return texts;
}

bool isExpandedOnNode(const gitlab::ArtifactEntry& entry) {
    const auto texts = textsOf(entry);
    return std::any_of(texts.begin(), texts.end(), hasReference);
}

bool hasNames(const gitlab::ArtifactEntry& entry) {
    return !entry.exclude.empty() || isExpandedOnNode(entry);
}

Result<ArtifactPlan> planArtifact(const gitlab::JobDescription& job,
                                  const gitlab::ArtifactEntry& entry) {
    const Variables variables(job);
    std::vector<Expanded> texts;
    for (const auto& text : textsOf(entry)) {
        texts.push_back(expandedHere(variables, text));
    }
    return planOf(entry, texts);
}

Result<ArtifactPlan> planArtifact(const gitlab::JobDescription& job,
                                  const gitlab::ArtifactEntry& entry, std::string_view names) {
    if (!hasNames(entry)) {
        return strangeNames();
    }
    const Variables variables(job);
    const auto asked = textsOf(entry);
    const auto told = isExpandedOnNode(entry) ? asked.size() : 0;
    const auto fields = names.size() > kLargestNames
                            ? std::nullopt
                            : fieldsOf(names, 1 + told + entry.exclude.size());
    if (!fields || !fields->front().starts_with('/')) {
        return strangeNames();
    }
    std::vector<Expanded> texts;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        texts.push_back(hasReference(asked[i]) ? expandedThere(fields->at(1 + i), fields->front())
                                               : expandedHere(variables, asked[i]));
    }
    auto made = planOf(entry, texts);
    if (!made) {
        return made;
    }
    auto plan = std::move(made).value();
    for (std::size_t i = 0; i < entry.exclude.size(); ++i) {
        const auto count = countOf(fields->at(1 + told + i));
        if (!count) {
            return strangeNames();
        }
        plan.excludedOnNode[i] = *count;
    }
    return plan;
}

std::optional<std::size_t> ArtifactPlan::excludedBy(std::string_view name) const {
    for (std::size_t i = 0; i < excluded.size() && !excluded[i].outside; ++i) {
        if (excluded[i].glob && excluded[i].glob->matches(name)) {
            return i;
        }
    }
    return std::nullopt;
}

}  // namespace gridbridge::payload
