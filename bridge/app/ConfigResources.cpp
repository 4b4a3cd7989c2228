#include "bridge/app/ConfigResources.h"

#include <algorithm>

#include "bridge/app/Backends.h"

namespace gridbridge::app {

namespace {

using core::Resource;
using core::ResourceRules;

constexpr std::int64_t kMostCount = 1'000'000;
constexpr std::uint64_t kLeastSize = std::uint64_t{1} << 20U;
constexpr std::uint64_t kMostSize = std::uint64_t{1} << 50U;
/// GitLab's longest timeout of a job.
constexpr std::chrono::seconds kLongestTime = std::chrono::hours(24 * 30);

std::set<Resource> usedBy(const BackendConfig& backend) {
    const auto& type = backendType(backend.type);
    auto used = type.resources != nullptr ? type.resources(backend) : std::set<Resource>();
    used.insert(Resource::WallTime);
    return used;
}

/// An amount of its kind.
std::optional<std::int64_t> amount(ConfigSection& section, Resource resource,
                                   std::string_view key) {
    if (resource == Resource::Cpus || resource == Resource::Gpus) {
        return section.integer(key, resource == Resource::Cpus ? 1 : 0, kMostCount);
    }
    if (resource == Resource::WallTime) {
        const auto time = section.duration(key, std::chrono::seconds(1), kLongestTime);
        return time ? std::optional<std::int64_t>(time->count()) : std::nullopt;
    }
    const auto bytes = section.size(key, kLeastSize, kMostSize);
    return bytes ? std::optional(static_cast<std::int64_t>(*bytes)) : std::nullopt;
}

struct AmountKeys {
    Resource resource;
    std::string_view usual;
    std::string_view most;
    ResourceRules::Amount ResourceRules::*rule;
};
constexpr AmountKeys kAmounts[] = {
    {Resource::Cpus, "cpus", "max_cpus", &ResourceRules::cpus},
    {Resource::Memory, "memory", "max_memory", &ResourceRules::memory},
    {Resource::Disk, "disk", "max_disk", &ResourceRules::disk},
    {Resource::Gpus, "gpus", "max_gpus", &ResourceRules::gpus},
    {Resource::WallTime, "wall_time", "max_wall_time", &ResourceRules::wallTime},
};

std::vector<std::string> names(ConfigSection& section, std::string_view key) {
    auto texts = section.texts(key);
    for (const auto& text : texts) {
        if (!isSchedulerName(text)) {
            section.report(key, "\"" + text + "\" is not a name",
                           "use letters, digits, '.', '_', '@' and '-' only");
        }
    }
    return texts;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> byProject(ConfigSection& section,
                                                           std::string_view key) {
    std::vector<std::pair<std::string, std::string>> map;
    for (const auto& text : section.texts(key)) {
        // A project's pattern has none in it.
        const auto equals = std::min(text.find('='), text.size());
        const auto pattern = text.substr(0, equals);
        const auto name = text.substr(std::min(equals + 1, text.size()));
        if (core::Access::isPattern(pattern) && isSchedulerName(name)) {
            map.emplace_back(pattern, name);
        } else {
            section.report(key, "\"" + text + "\" names no account for a project",
                           "write each as \"group/project=account\", with * for part of a name "
                           "and ** for several");
        }
    }
    return map;
}

void takeResources(ConfigSection& section, BackendConfig& backend) {
    auto& rules = backend.resources;
    rules.used = usedBy(backend);
    const auto isFor = [&](Resource resource, std::string_view key) {
        const bool isUsed = rules.used.count(resource) > 0;
        if (!isUsed && section.has(key)) {
            section.report(key,
                           "cannot be asked for with type = \"" + backend.type + "\"" +
                               (backend.type == "command" ? " and this submit" : ""),
                           "remove it");
        }
        return isUsed;
    };
    for (const auto& keys : kAmounts) {
        auto& rule = rules.*keys.rule;
        if (isFor(keys.resource, keys.usual)) {
            rule.usual = amount(section, keys.resource, keys.usual);
        }
        if (isFor(keys.resource, keys.most)) {
            rule.most = amount(section, keys.resource, keys.most);
        }
        if (rule.usual && rule.most && *rule.usual > *rule.most) {
            section.report(keys.usual, "is more than " + std::string(keys.most),
                           "lower it, or raise the other");
        }
    }
    if (isFor(Resource::Queue, "queues")) {
        rules.queues = names(section, "queues");
    }
    if (isFor(Resource::Account, "accounts")) {
        rules.accounts = names(section, "accounts");
    }
    if (isFor(Resource::Account, "project_accounts")) {
        rules.projectAccounts = byProject(section, "project_accounts");
    }
}

}  // namespace gridbridge::app
