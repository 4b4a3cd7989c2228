#include "bridge/app/ConfigSite.h"

#include <algorithm>

#include "bridge/app/ConfigBackend.h"

namespace gridbridge::app {

namespace {

using payload::Site;

constexpr std::uint64_t kLeastSize = std::uint64_t{1} << 20U;
constexpr std::uint64_t kMostSize = std::uint64_t{1} << 50U;

/// `$` and a name that a variable of a shell can have.
bool isReference(const std::string& text) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    return text.size() > 1 && text[0] == '$' && !(text[1] >= '0' && text[1] <= '9') &&
           std::all_of(text.begin() + 1, text.end(), good);
}

/// A folder of the nodes; empty = none is said, or it was reported.
std::string nodeFolder(ConfigSection& section, std::string_view key) {
    const auto isControl = [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    };
    const auto text = section.text(key);
    if (!text) {
        return {};
    }
    if (std::any_of(text->begin(), text->end(), isControl)) {
        section.report(key, "holds a control character", "remove it");
        return {};
    }
    const auto path = section.absolutePath(key);
    return path ? path->string() : "";
}

std::string scratch(ConfigSection& section, const BackendConfig& backend) {
    const auto text = section.text("scratch");
    if (!text) {
        return {};
    }
    if (isReference(*text)) {
        if (backend.type == "local") {
            section.report("scratch",
                           "local jobs get no variables but PATH, HOME, USER, LOGNAME and LANG",
                           "write a path");
        }
        return *text;
    }
    if (text->find('$') != std::string::npos) {
        section.report("scratch", "a variable stands for all of it or nothing",
                       "write a path, or \"$NAME\" with a variable of the nodes");
        return {};
    }
    return nodeFolder(section, "scratch");
}

std::string buildsDir(ConfigSection& section, const BackendConfig& backend) {
    const auto folder = nodeFolder(section, "builds_dir");
    if (!folder.empty() && overlap(folder, backend.workDir)) {
        section.report("builds_dir", "lies in work_dir, or work_dir in it",
                       "write a folder that is there for this alone");
    }
    return folder;
}

Site::Home home(ConfigSection& section, const BackendConfig& backend) {
    const auto word = section.choice("home", {"private", "real", "project"});
    if (word == "project" && !backend.sharesFolder()) {
        section.report(
            "home",
            "\"project\" needs a work_dir that the nodes see, and with " +
                std::string(backend.type == "diracx" ? "DIRAC they do not"
                            : backend.type == "arc"  ? "ARC they do not"
                                                     : "file_transfer or spool they need not"),
            "write \"private\" or \"real\"");
    }
    return word == "real"      ? Site::Home::Real
           : word == "project" ? Site::Home::Project
                               : Site::Home::Private;
}

}  // namespace

void takeSite(ConfigSection& section, BackendConfig& backend) {
    backend.site.shellInit = section.text("shell_init").value_or("");
    backend.site.scratch = scratch(section, backend);
    backend.site.minScratch = section.size("min_scratch", kLeastSize, kMostSize).value_or(0);
    backend.site.home = home(section, backend);
    backend.site.buildsDir = buildsDir(section, backend);
}

}  // namespace gridbridge::app
