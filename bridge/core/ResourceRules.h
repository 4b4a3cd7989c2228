#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/base/Result.h"

namespace gridbridge::core {

/// What a job can ask for, each by a variable of its own.
enum class Resource { Cpus, Memory, Disk, Gpus, WallTime, Queue, Account };

/// The variables of a job that say what it needs all begin so.
inline constexpr std::string_view kResourcePrefix = "GRIDBRIDGE_";

/// Values of variables that begin so, by their names.
using Requests = std::map<std::string, std::string>;

using Shown = std::function<std::string(const std::string& value)>;

/// What a job gets, and what its log says of variables that change nothing.
struct Grant {
    Resources resources;
    std::vector<std::string> warnings;
};

/// What the jobs of a backend may ask for.
struct ResourceRules {
    /// CPUs, bytes, GPUs or seconds.
    struct Amount {
        std::optional<std::int64_t> usual = {};  ///< For jobs that ask for none.
        std::optional<std::int64_t> most = {};   ///< Absent = the batch system's own limit.
        bool operator==(const Amount&) const = default;
    };
    Amount cpus = {};
    Amount memory = {};
    Amount disk = {};
    Amount gpus = {};
    Amount wallTime = {};                    ///< Its most is also the usual one.
    std::vector<std::string> queues = {};    ///< That a job may choose.
    std::vector<std::string> accounts = {};  ///< The same of accounts that are charged.
    /// Patterns of projects, see Access, each with an account. The first that fits is charged for
    /// jobs that choose none; they may choose any that fits.
    std::vector<std::pair<std::string, std::string>> projectAccounts = {};
    std::set<Resource> used = {Resource::WallTime};  ///< What the batch system can be asked for.

    /// Permanent error: one sentence for the job's log that names variable, value and limit.
    /// `shown` makes of a value what may be shown of it.
    Result<Grant> grant(const Requests& requests, const std::string& project,
                        const Shown& shown) const;
    bool operator==(const ResourceRules&) const = default;
};

/// Bytes of `4G`, `512 MiB`, `2tb`: a whole number with K, M, G or T, powers of 1024; nothing for
/// what is none, for 0, and for more than 1024 T.
std::optional<std::int64_t> parseAmount(std::string_view text);

/// Seconds of `90m`, `1h30m`, `2d 12h`, `1:30:00`; nothing for what is none, for a number without
/// a unit, for 0, and for more than a year.
std::optional<std::int64_t> parseWallTime(std::string_view text);

}  // namespace gridbridge::core
