#include "bridge/app/ConfigSection.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "bridge/app/Text.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::app {

template <typename T>
const T* ConfigSection::find(std::string_view key) const {
    const auto found = raw_.entries.find(key);
    if (found == raw_.entries.end()) {
        return nullptr;
    }
    reading_.places.insert_or_assign(raw_.keyPath(key), found->second.place);
    return std::get_if<T>(&found->second.value);
}

bool ConfigSection::has(std::string_view key) const {
    return raw_.entries.contains(key) || raw_.faulty.contains(key);
}

std::optional<std::string> ConfigSection::text(std::string_view key) {
    const auto* value = find<std::string>(key);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (value->empty()) {
        report(key, "is empty", "give it a value or remove it");
        return std::nullopt;
    }
    if (value->find('\0') != std::string::npos) {
        report(key, "holds a NUL character", "remove it");
        return std::nullopt;
    }
    return *value;
}

std::optional<std::string> ConfigSection::requiredText(std::string_view key, std::string cure) {
    if (!has(key)) {
        report(key, "is missing", std::move(cure));
    }
    return text(key);
}

std::optional<std::filesystem::path> ConfigSection::absolutePath(std::string_view key) {
    const auto value = text(key);
    if (!value) {
        return std::nullopt;
    }
    std::filesystem::path path(*value);
    if (!path.is_absolute()) {
        report(key, "is not an absolute path", "write it from the root, starting with /");
        return std::nullopt;
    }
    path = path.lexically_normal();
    return path.has_filename() ? path : path.parent_path();
}

std::optional<std::string> ConfigSection::choice(std::string_view key,
                                                 const std::vector<std::string_view>& known) {
    auto value = text(key);
    if (!value || std::find(known.begin(), known.end(), *value) != known.end()) {
        return value;
    }
    std::string all;
    for (const std::string_view name : known) {
        all.append(all.empty() ? "" : ", ").append(name);
    }
    report(key, "\"" + *value + "\" is not known", "write one of: " + all);
    return std::nullopt;
}

std::optional<std::int64_t> ConfigSection::integer(std::string_view key, std::int64_t least,
                                                   std::int64_t most) {
    const auto* value = find<std::int64_t>(key);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (*value < least || *value > most) {
        report(key, "is " + std::to_string(*value),
               "write a number from " + std::to_string(least) + " to " + std::to_string(most));
        return std::nullopt;
    }
    return *value;
}

std::optional<double> ConfigSection::number(std::string_view key, double least, double most) {
    const auto* value = find<double>(key);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!(*value >= least && *value <= most)) {  // not a number is neither
        report(key, fmt::format("is {}", *value),
               fmt::format("write a number from {} to {}", least, most));
        return std::nullopt;
    }
    return *value;
}

std::optional<std::chrono::seconds> ConfigSection::duration(std::string_view key,
                                                            std::chrono::seconds least,
                                                            std::chrono::seconds most) {
    std::optional<std::chrono::seconds> value;
    if (const auto* number = find<std::int64_t>(key)) {
        value = std::chrono::seconds(*number);
    } else if (const auto* words = find<std::string>(key)) {
        value = parseDuration(*words);
        if (!value) {
            report(key, "\"" + *words + "\" is not a duration",
                   "write seconds, or a number with s, min, h or days, like \"10 s\"");
            return std::nullopt;
        }
    }
    if (value && (*value < least || *value > most)) {
        report(key, "is " + std::to_string(value->count()) + " seconds",
               "write " + std::to_string(least.count()) + " to " + std::to_string(most.count()) +
                   " seconds");
        return std::nullopt;
    }
    return value;
}

std::optional<std::uint64_t> ConfigSection::size(std::string_view key, std::uint64_t least,
                                                 std::uint64_t most) {
    const auto* words = find<std::string>(key);
    if (words == nullptr) {
        return std::nullopt;
    }
    const auto value = parseSize(*words);
    if (!value || *value < least || *value > most) {
        report(key, "\"" + *words + "\" is no size that can be used here",
               "write a number with MiB, GiB or TiB, like \"2 GiB\"; " +
                   payload::sizeText(static_cast<std::int64_t>(least)) + " to " +
                   payload::sizeText(static_cast<std::int64_t>(most)));
        return std::nullopt;
    }
    return value;
}

std::optional<bool> ConfigSection::flag(std::string_view key) {
    const auto* value = find<bool>(key);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

std::vector<std::string> ConfigSection::texts(std::string_view key) {
    const auto* value = find<std::vector<std::string>>(key);
    return value == nullptr ? std::vector<std::string>() : *value;
}

Place ConfigSection::placeOf(std::string_view key) const {
    const auto found = raw_.entries.find(key);
    return found == raw_.entries.end() ? raw_.place : found->second.place;
}

void ConfigSection::report(std::string_view key, std::string what, std::string cure) {
    reading_.problems.push_back(
        {placeOf(key), raw_.keyPath(key), std::move(what), std::move(cure)});
}

namespace {

/// A number and one of the units, with or without a blank between them.
template <typename Units>
std::optional<std::int64_t> amount(const std::string& text, const Units& units) {
    constexpr std::int64_t kMost = 1'000'000'000;
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || number < 0 || number > kMost) {
        return std::nullopt;
    }
    std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    if (unit.size() > 1 && unit.front() == ' ') {
        unit.remove_prefix(1);
    }
    for (const auto& [name, factor] : units) {
        if (unit == name && number <= std::numeric_limits<std::int64_t>::max() / factor) {
            return number * factor;
        }
    }
    return std::nullopt;
}

using Unit = std::pair<std::string_view, std::int64_t>;

}  // namespace

std::optional<std::chrono::seconds> parseDuration(const std::string& text) {
    constexpr std::array<Unit, 6> kUnits{
        {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"day", 86400}, {"days", 86400}}};
    const auto seconds = amount(text, kUnits);
    return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
}

std::optional<std::uint64_t> parseSize(const std::string& text) {
    constexpr std::array<Unit, 4> kUnits{{{"KiB", std::int64_t{1} << 10U},
                                          {"MiB", std::int64_t{1} << 20U},
                                          {"GiB", std::int64_t{1} << 30U},
                                          {"TiB", std::int64_t{1} << 40U}}};
    const auto bytes = amount(text, kUnits);
    return bytes ? std::optional(static_cast<std::uint64_t>(*bytes)) : std::nullopt;
}

void take(int& target, std::optional<std::int64_t> value) {
    if (value) {
        target = static_cast<int>(*value);
    }
}

std::vector<std::string> takeEnvironment(ConfigSection& section, std::string_view key) {
    auto all = section.texts(key);
    for (const auto& variable : all) {
        if (variable.find('=') == std::string::npos || variable.starts_with("=")) {
            section.report(key, "an element is not an assignment", "write each as \"NAME=value\"");
        }
    }
    return all;
}

}  // namespace gridbridge::app
