#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/app/ConfigFile.h"

namespace gridbridge::app {

/// For each key that a running service cannot change, as it follows its section's name in
/// messages: whether it differs.
using KeyChanges = std::vector<std::pair<std::string_view, bool>>;

inline constexpr std::int64_t kMostJobs = 1'000'000;
/// Between two looks at GitLab or at a batch system.
inline constexpr std::chrono::seconds kLongestInterval{3600};

/// Takes the values of one section with their bounds and reports what is wrong with them. A value
/// that was reported is absent. The section and the lists must outlive it.
class ConfigSection {
public:
    ConfigSection(const RawSection& raw, ConfigReading& reading) : raw_(raw), reading_(reading) {}

    bool has(std::string_view key) const;
    std::string keyPath(std::string_view key) const { return raw_.keyPath(key); }
    /// Of the key, or of the section when the key is absent.
    Place placeOf(std::string_view key) const;

    /// An empty text is reported.
    std::optional<std::string> text(std::string_view key);
    /// As text(); absence is reported.
    std::optional<std::string> requiredText(std::string_view key, std::string cure);
    std::optional<std::filesystem::path> absolutePath(std::string_view key);
    /// One of `known`.
    std::optional<std::string> choice(std::string_view key,
                                      const std::vector<std::string_view>& known);
    std::optional<std::int64_t> integer(std::string_view key, std::int64_t least,
                                        std::int64_t most);
    std::optional<double> number(std::string_view key, double least, double most);
    std::optional<std::chrono::seconds> duration(std::string_view key, std::chrono::seconds least,
                                                 std::chrono::seconds most);
    /// Bytes.
    std::optional<std::uint64_t> size(std::string_view key, std::uint64_t least,
                                      std::uint64_t most);
    std::optional<bool> flag(std::string_view key);
    std::vector<std::string> texts(std::string_view key);

    /// At placeOf(key).
    void report(std::string_view key, std::string what, std::string cure);

private:
    template <typename T>
    const T* find(std::string_view key) const;

    const RawSection& raw_;
    ConfigReading& reading_;
};

/// Reports elements that are not `NAME=value`.
std::vector<std::string> takeEnvironment(ConfigSection& section, std::string_view key);

/// A value that is absent leaves the target as it is.
void take(int& target, std::optional<std::int64_t> value);

}  // namespace gridbridge::app
