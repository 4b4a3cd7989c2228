#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <variant>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/base/Result.h"

namespace gridbridge::app {

/// The three kinds of sections of a configuration.
enum class SectionKind { Top, Runner, Backend };

enum class ValueKind { Integer, Number, Text, Flag, TextList, Duration };

/// One key that the configuration knows.
struct KnownKey {
    SectionKind section;
    std::string_view name;
    ValueKind kind;
    std::string_view example;  ///< The right-hand side of an example.
    /// The only types of backends that have it, with blanks between; empty = nothing to say so.
    std::string_view type = {};

    bool isOf(std::string_view backendType) const;
};

/// Every key there is; docs/configuration.md explains each.
const std::vector<KnownKey>& knownKeys();

using RawValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::string>>;
struct RawEntry {
    RawValue value;
    Place place;
};

/// One section as written: its known keys with values of the right type.
struct RawSection {
    std::string label;  ///< Before the key in messages: empty, `runners.NAME` or `backends.NAME`.
    Place place;
    std::map<std::string, RawEntry, std::less<>> entries = {};
    std::set<std::string, std::less<>> faulty = {};  ///< Present, but reported already.

    std::string keyPath(std::string_view key) const;
};

struct RawConfig {
    RawSection top;
    std::vector<RawSection> runners = {};
    std::vector<std::pair<std::string, RawSection>> backends = {};
    bool runnersFaulty = false;  ///< Some could not be read: none is not the fault to report.
    bool backendsFaulty = false;
};

enum class FileRole { Main, Addition };

/// Adds what `file` says to `config`, and every fault of its syntax, keys and types to `problems`.
void readConfigFile(const std::filesystem::path& file, FileRole role, RawConfig& config,
                    std::vector<ConfigProblem>& problems);

}  // namespace gridbridge::app
