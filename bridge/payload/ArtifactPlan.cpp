#include "bridge/payload/ArtifactPlan.h"

#include <algorithm>

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

/// The path below the project folder; nothing when it is elsewhere on the node.
std::optional<std::string> belowProject(Value value) {
    const bool underProject =
        !value.empty() && value.front() == Piece{true, std::string(kProjectDir)};
    if (underProject) {
        value.erase(value.begin());
    }
    if (std::any_of(value.begin(), value.end(), [](const Piece& piece) { return piece.late; })) {
        return std::nullopt;
    }
    const auto text = plainText(value);
    const bool absolute = text.starts_with('/');
    if (underProject ? !absolute && !text.empty() : absolute) {
        return std::nullopt;
    }
    return underProject && absolute ? text.substr(1) : text;
}

ArtifactPlan::Path planPath(const Variables& variables, const std::string& text) {
    ArtifactPlan::Path path;
    path.shown = oneLine(text);
    const auto value = expanded(variables, text);
    if (value.empty()) {
        path.problem = "WARNING: No matching files. Path is empty.";
        return path;
    }
    const auto below = belowProject(value);
    const auto clean = below ? cleanedPath(*below) : std::nullopt;
    if (!clean || clean->find('\0') != std::string::npos) {
        path.problem =
            "WARNING: processPath: artifact path is not a subpath of project directory: " +
            path.shown;
        return path;
    }
    path.glob = Glob::parse(*clean == "." ? "**" : *clean);
    if (!path.glob) {
        path.problem = "WARNING: " + path.shown + ": syntax error in pattern";
    }
    return path;
}

std::string filenameOf(const Variables& variables, const gitlab::ArtifactEntry& entry) {
    constexpr std::size_t kLongestName = 200;
    const std::string ending = entry.format == "zip" ? ".zip" : entry.format == "gzip" ? ".gz" : "";
    if (entry.name.empty()) {
        return "artifacts" + ending;
    }
    auto text = oneLine(plainText(expanded(variables, entry.name)));
    while (text.ends_with('/')) {
        text.pop_back();
    }
    text = text.substr(text.rfind('/') + 1).substr(0, kLongestName);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '"' || c == '\\'; }, '_');
    return (text.empty() || text == "." || text == ".." ? "default" : text) + ending;
}

std::vector<std::string> unknownNames(const Variables& variables, std::string_view text) {
    std::vector<std::string> names;
    for (auto at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
        auto rest = text.substr(at + 1);
        rest.remove_prefix(rest.starts_with('{') ? 1 : 0);
        const auto end = std::find_if_not(rest.begin(), rest.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_';
        });
        const std::string name(rest.begin(), end);
        if (!name.empty() && !variables.has(name)) {
            names.push_back(oneLine(name));
        }
    }
    return names;
}

}  // namespace

bool isCollected(const gitlab::ArtifactEntry& entry) {
    return (entry.format == "zip" || entry.format == "gzip" || entry.format == "raw") &&
           (entry.untracked || !entry.paths.empty());
}

ArtifactPlan planArtifact(const gitlab::JobDescription& job, const gitlab::ArtifactEntry& entry) {
    const Variables variables(job);
    ArtifactPlan plan;
    plan.untracked = entry.untracked;
    plan.filename = filenameOf(variables, entry);
    for (const auto& text : entry.paths) {
        plan.paths.push_back(planPath(variables, text));
        for (auto& name : unknownNames(variables, text)) {
            plan.unknownNames.push_back(std::move(name));
        }
    }
    return plan;
}

}  // namespace gridbridge::payload
