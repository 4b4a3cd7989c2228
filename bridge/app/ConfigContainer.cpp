#include "bridge/app/ConfigContainer.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "backends/command/CommandTemplates.h"

namespace gridbridge::app {

namespace {

using payload::ContainerCommands;
using Words = std::vector<std::string>;

constexpr std::string_view kRunValues[] = {"image", "entrypoint", "workdir",
                                           "binds", "builds",     "name"};
constexpr std::string_view kPullValues[] = {"image", "auth", "file"};
constexpr std::string_view kStopValues[] = {"name"};

void takeWords(ConfigSection& section, std::string_view key, Words& words,
               std::span<const std::string_view> values) {
    if (section.has(key)) {
        words = section.texts(key);
    }
    if (const auto unknown = unknownValue(words, values)) {
        std::string known;
        for (const auto value : values) {
            known.append(known.empty() ? "" : ", ").append(value);
        }
        section.report(key, "holds the unknown value " + *unknown, "write one of: " + known);
    }
}

bool has(const Words& words, std::string_view text) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return word.find(text) != std::string::npos;
    });
}

bool isInBuilds(const std::string& folder) {
    return (std::filesystem::path(folder).lexically_normal().string() + "/")
        .starts_with("/builds/");
}

void takeBinds(ConfigSection& section, ContainerCommands& commands) {
    commands.binds = section.texts("container_binds");
    if (!std::all_of(commands.binds.begin(), commands.binds.end(), [](const std::string& folder) {
            return std::filesystem::path(folder).is_absolute();
        })) {
        section.report("container_binds", "an element is no absolute path",
                       "write folders like \"/cvmfs\"");
    }
    if (has(commands.binds, ":") || has(commands.binds, ",")) {  // Runtimes take it for options.
        section.report("container_binds", "an element holds : or ,",
                       "bind the folder above it, or give it another name");
    }
    if (has(commands.run, "{builds}") &&
        std::any_of(commands.binds.begin(), commands.binds.end(), isInBuilds)) {
        section.report("container_binds", "an element is /builds or in it, where the project lies",
                       "bind a folder that has another path on the nodes");
    }
}

}  // namespace

void takeContainer(ConfigSection& section, BackendConfig& backend) {
    auto& commands = backend.container;
    if (const auto name = section.choice("container", {payload::kPodman, payload::kApptainer})) {
        commands = payload::containerPreset(*name);
    }
    takeWords(section, "container_command", commands.run, kRunValues);
    takeWords(section, "container_pull", commands.pull, kPullValues);
    takeWords(section, "container_stop", commands.stop, kStopValues);
    for (const std::string_view key : {"container_command", "container_pull"}) {
        const auto& words = key == "container_pull" ? commands.pull : commands.run;
        if (!words.empty() && !has(words, "{image}")) {
            section.report(key, "does not hold {image}", "write it where the image's name belongs");
        }
    }
    if (!commands.run.empty() && !has(commands.run, "{binds}")) {
        section.report("container_command", "does not hold {binds}",
                       "write it in the word that binds a folder: what runs inside is in one");
    }
    takeBinds(section, commands);
    for (const std::string_view key : {"container_pull", "container_stop", "container_binds"}) {
        if (!section.texts(key).empty() && commands.run.empty()) {
            section.report(key, "says nothing without a command that runs containers",
                           "write container or container_command, or remove it");
        }
    }
}

void checkBoundFolders(ConfigSection& section, const BackendConfig& backend) {
    if (backend.container.run.empty()) {
        return;
    }
    // Where HTCondor copies the files it is the node's own folder that is bound.
    const bool isCopied = backend.type == "htcondor" && copiesFiles(backend.htcondor);
    for (const auto& [key, folder] :
         {std::pair("work_dir", isCopied ? "" : backend.workDir.string()),
          std::pair("scratch", backend.site.scratch)}) {
        if (has({folder}, ":") || has({folder}, ",")) {
            section.report(key, "holds : or , which runtimes of containers take for options",
                           "choose another folder");
        }
    }
}

}  // namespace gridbridge::app
