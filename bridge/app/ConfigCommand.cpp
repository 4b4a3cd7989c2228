#include "bridge/app/ConfigCommand.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/command/CommandParse.h"

namespace gridbridge::app {

namespace {

using Words = std::vector<std::string> CommandConfig::*;
using Text = std::string CommandConfig::*;

constexpr std::string_view kSubmitValues[] = {
    "name",      "folder",       "script",  "output", "user",      "wall_seconds",
    "wall_time", "wall_minutes", "options", "cpus",   "memory_mb", "memory_mb_per_cpu",
    "disk_mb",   "gpus",         "queue",   "account"};
/// Those of the last that a job may have none of.
constexpr auto kOptionalValues = std::span(kSubmitValues).last(7);
constexpr std::string_view kStatusValues[] = {"user"};
constexpr std::string_view kJobValues[] = {"id", "name", "user"};

constexpr std::pair<core::Resource, std::string_view> kResourceValues[] = {
    {core::Resource::Cpus, "cpus"},      {core::Resource::Memory, "memory_mb"},
    {core::Resource::Disk, "disk_mb"},   {core::Resource::Memory, "memory_mb_per_cpu"},
    {core::Resource::Gpus, "gpus"},      {core::Resource::Queue, "queue"},
    {core::Resource::Account, "account"}};

struct CommandKey {
    std::string_view name;
    Words words;
    std::span<const std::string_view> values;
};
constexpr CommandKey kCommands[] = {
    {"submit", &CommandConfig::submit, kSubmitValues},
    {"status", &CommandConfig::status, kStatusValues},
    {"result", &CommandConfig::result, kJobValues},
    {"cancel", &CommandConfig::cancel, kJobValues},
};

struct PatternKey {
    std::string_view name;
    Text text;
};
constexpr PatternKey kPatterns[] = {
    {"submit_id", &CommandConfig::submitId},
    {"submit_refused", &CommandConfig::submitRefused},
    {"submit_full", &CommandConfig::submitFull},
    {"status_job", &CommandConfig::statusJob},
    {"status_other", &CommandConfig::statusOther},
    {"status_empty", &CommandConfig::statusEmpty},
    {"failed_states", &CommandConfig::failedStates},
    {"held_states", &CommandConfig::heldStates},
    {"pending_states", &CommandConfig::pendingStates},
    {"running_states", &CommandConfig::runningStates},
    {"ended_states", &CommandConfig::endedStates},
    {"result_end", &CommandConfig::resultEnd},
    {"result_none", &CommandConfig::resultNone},
    {"result_wall_time", &CommandConfig::resultWallTime},
    {"result_memory", &CommandConfig::resultMemory},
    {"result_node", &CommandConfig::resultNode},
    {"cancel_gone", &CommandConfig::cancelGone},
};

void takeWords(ConfigSection& section, const CommandKey& key, CommandConfig& command) {
    auto& words = command.*key.words;
    if (section.has(key.name)) {
        words = section.texts(key.name);
    }
    if (const auto unknown = unknownValue(words, key.values)) {
        std::string known;
        for (const auto value : key.values) {
            known.append(known.empty() ? "" : ", ").append(value);
        }
        section.report(key.name, "holds the unknown value " + *unknown, "write one of: " + known);
    }
}

/// In a command that is always the same a value that may be absent has no place.
void requireBrackets(ConfigSection& section, const CommandConfig& command) {
    for (const auto value : kOptionalValues) {
        const auto text = "{" + std::string(value) + "}";
        for (const auto& word : command.submit) {
            if (word.find(text) != std::string::npos &&
                !asksFor(std::span<const std::string>(&word, 1), value)) {
                section.report("submit", "holds " + text + ", which not every job has",
                               "write a word like \"[-q {queue}]\": it is left out where a value "
                               "of it is absent");
            }
        }
    }
}

void takePattern(ConfigSection& section, const PatternKey& key, CommandConfig& command) {
    auto& text = command.*key.text;
    text = section.text(key.name).value_or(text);
    try {
        static_cast<void>(CommandPattern(text));
    } catch (const std::invalid_argument& fault) {
        section.report(key.name, std::string("is no regular expression: ") + fault.what(),
                       "write one of Perl's, as '...' so that \\ stands for itself");
    }
}

/// Without these nothing can be submitted, seen or ended.
void require(ConfigSection& section, const CommandConfig& command) {
    const auto missing = [&](std::string_view key, bool isMissing) {
        if (isMissing && !section.has(key)) {
            section.report(key, "is missing",
                           "write it, or name a preset: " + std::string(kCommandPresets));
        }
    };
    missing("submit", command.submit.empty());
    missing("submit_id", command.submitId.empty());
    missing("status", command.status.empty());
    missing("status_job", command.statusJob.empty() && command.statusJson.empty());
    missing("pending_states", command.pendingStates.empty());
    missing("running_states", command.runningStates.empty());
    missing("cancel", command.cancel.empty());
}

/// The groups without which an answer says nothing.
void requireGroups(ConfigSection& section, const CommandConfig& command) {
    const auto lacks = [&](std::string_view key, const std::string& pattern,
                           std::vector<std::string_view> groups) {
        for (const auto group : groups) {
            if (!pattern.empty() &&
                pattern.find("(?<" + std::string(group) + ">") == std::string::npos) {
                section.report(key, "has no group " + std::string(group),
                               "write (?<" + std::string(group) + ">...) around that part");
                return;
            }
        }
    };
    lacks("submit_id", command.submitId, {"id"});
    lacks("result_end", command.resultEnd, {"exit"});
    if (command.statusJson.empty()) {
        lacks("status_job", command.statusJob, {"id", "state", "name"});
        return;
    }
    for (const std::string_view group : {"state=", "name="}) {
        if (std::none_of(command.statusMembers.begin(), command.statusMembers.end(),
                         [&](const std::string& each) { return each.starts_with(group); })) {
            section.report("status_members",
                           "does not say where the " +
                               std::string(group.substr(0, group.size() - 1)) + " of a job is",
                           "write [\"state=...\", \"name=...\"]");
        }
    }
}

}  // namespace

void takeCommand(ConfigSection& section, BackendConfig& backend) {
    auto& command = backend.command;
    if (const auto name = section.text("preset")) {
        if (auto preset = commandPreset(*name)) {
            command = std::move(*preset);
        } else {
            section.report("preset", "there is no preset \"" + *name + "\"",
                           "write one of: " + std::string(kCommandPresets));
        }
    }
    command.binDir = section.absolutePath("bin_dir").value_or("").string();
    command.environment = takeEnvironment(section, "command_environment");
    command.submitOptions = section.texts("submit_options");
    command.statusJson = section.text("status_json").value_or(command.statusJson);
    if (section.has("status_members")) {
        command.statusMembers = section.texts("status_members");
    }
    for (const auto& key : kCommands) {
        takeWords(section, key, command);
    }
    for (const auto& key : kPatterns) {
        takePattern(section, key, command);
    }
    requireBrackets(section, command);
    require(section, command);
    requireGroups(section, command);
}

KeyChanges changesOfCommand(const BackendConfig& now, const BackendConfig& next) {
    return {{": what is for commands", !(now.command == next.command)}};
}

std::set<core::Resource> resourcesOfCommand(const BackendConfig& backend) {
    std::set<core::Resource> asked;
    for (const auto& [resource, value] : kResourceValues) {
        if (asksFor(backend.command.submit, value)) {
            asked.insert(resource);
        }
    }
    return asked;
}

}  // namespace gridbridge::app
