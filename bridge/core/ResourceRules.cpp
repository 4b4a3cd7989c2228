#include "bridge/core/ResourceRules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "bridge/core/Access.h"
#include "bridge/core/Lines.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::core {

namespace {

/// No machine has more CPUs or GPUs.
constexpr std::int64_t kMostCount = 1'000'000;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;
constexpr std::int64_t kLongestTime = std::int64_t{366} * 24 * 3600;
/// Digits of a number that is certainly no typing error.
constexpr std::size_t kMostDigits = 9;

using Words = std::vector<std::string>;

/// The digits at the start of `text`, which are taken away; nothing where there are none, or too
/// many.
std::optional<std::int64_t> takeNumber(std::string_view& text) {
    const auto length = std::min(text.find_first_not_of("0123456789"), text.size());
    std::int64_t number = 0;
    if (length == 0 || length > kMostDigits) {
        return std::nullopt;
    }
    std::from_chars(text.data(), text.data() + length, number);
    text.remove_prefix(length);
    return number;
}

std::string lowered(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

std::optional<std::int64_t> parseCount(std::string_view text, std::int64_t least) {
    const auto number = takeNumber(text);
    return number && text.empty() && *number >= least && *number <= kMostCount ? number
                                                                               : std::nullopt;
}

/// `1:30:00`, or `1:30`, which is hours and minutes nowhere else and is refused here as well.
std::optional<std::int64_t> parseClock(std::string_view text) {
    std::int64_t total = 0;
    for (int part = 0; part < 3; ++part) {
        if (part > 0 && (text.size() < 3 || text.front() != ':')) {
            return std::nullopt;
        }
        text.remove_prefix(part > 0 ? 1 : 0);
        const auto before = text.size();
        const auto number = takeNumber(text);
        if (!number || (part > 0 && (before - text.size() != 2 || *number > 59))) {
            return std::nullopt;
        }
        total = total * 60 + *number;
    }
    return text.empty() ? std::optional(total) : std::nullopt;
}

/// Each unit once, the larger before the smaller.
std::optional<std::int64_t> parseUnits(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
        {{"d", 86400}, {"h", 3600}, {"min", 60}, {"m", 60}, {"s", 1}}};
    std::int64_t total = 0;
    std::int64_t smallest = kLongestTime;
    while (!text.empty()) {
        const auto number = takeNumber(text);
        text = payload::trimmed(text);
        const auto* unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& each) {
            return text.starts_with(each.first);
        });
        if (!number || unit == kUnits.end() || unit->second >= smallest) {
            return std::nullopt;
        }
        smallest = unit->second;
        total += *number * unit->second;
        text.remove_prefix(unit->first.size());
        text = payload::trimmed(text);
    }
    return total;
}

std::string inBytes(std::int64_t bytes) {
    constexpr std::array<const char*, 4> kNames{" KiB", " MiB", " GiB", " TiB"};
    std::size_t unit = 0;
    std::int64_t amount = bytes >> 10U;
    while (unit + 1 < kNames.size() && amount > 0 && amount % 1024 == 0) {
        amount /= 1024;
        ++unit;
    }
    return std::to_string(amount) + kNames.at(unit);
}

std::string inCount(std::int64_t number) {
    return std::to_string(number);
}

std::string listed(const Words& words) {
    std::string text;
    for (const auto& word : words) {
        text.append(text.empty() ? "" : ", ").append(word);
    }
    return text;
}

/// How a variable with an amount is read, and told.
struct AmountVariable {
    Resource resource;
    std::string_view name;
    std::optional<std::int64_t> (*parse)(std::string_view text);
    std::string (*told)(std::int64_t amount);
    const char* form;
    ResourceRules::Amount ResourceRules::*rule;
    std::optional<std::int64_t> Resources::*target;  ///< Null for the wall time.
};

constexpr const char* kBytesForm =
    "write a whole number with its unit, like 4G (K, M, G or T, powers of 1024)";

const std::array<AmountVariable, 5>& amountVariables() {
    static const std::array<AmountVariable, 5> all{{
        {Resource::Cpus, "GRIDBRIDGE_CPUS", [](std::string_view t) { return parseCount(t, 1); },
         inCount, "write a whole number, like 4", &ResourceRules::cpus, &Resources::cpus},
        {Resource::Memory, "GRIDBRIDGE_MEMORY", parseAmount, inBytes, kBytesForm,
         &ResourceRules::memory, &Resources::memory},
        {Resource::Disk, "GRIDBRIDGE_DISK", parseAmount, inBytes, kBytesForm, &ResourceRules::disk,
         &Resources::disk},
        {Resource::Gpus, "GRIDBRIDGE_GPUS", [](std::string_view t) { return parseCount(t, 0); },
         inCount, "write a whole number, like 1", &ResourceRules::gpus, &Resources::gpus},
        {Resource::WallTime, "GRIDBRIDGE_WALLTIME", parseWallTime, goDuration,
         "write a time with its units, like 1h30m, or hours, minutes and seconds, like 1:30:00",
         &ResourceRules::wallTime, nullptr},
    }};
    return all;
}

constexpr std::string_view kQueue = "GRIDBRIDGE_QUEUE";
constexpr std::string_view kAccount = "GRIDBRIDGE_ACCOUNT";

/// The work of one grant.
class Grants {
public:
    Grants(const ResourceRules& rules, const Requests& requests, const Shown& shown)
        : rules_(rules), requests_(requests), shown_(shown) {}

    Result<Grant> make(const std::string& project) {
        for (const auto& variable : amountVariables()) {
            amount(variable);
        }
        name(kQueue, Resource::Queue, "queue", rules_.queues, grant_.resources.queue);
        account(project);
        for (const auto& [name, value] : requests_) {
            warnOfUnknown(name);
        }
        return problem_ ? Result<Grant>(*problem_) : Result<Grant>(std::move(grant_));
    }

private:
    /// Without white space around it; empty = not asked for, as everywhere in GitLab.
    std::string asked(std::string_view name) const {
        const auto found = requests_.find(std::string(name));
        return found == requests_.end() ? "" : std::string(payload::trimmed(found->second));
    }

    /// A secret is hidden before the value is cut.
    std::string says(std::string_view name, const std::string& value) const {
        return std::string(name) + " is \"" + payload::oneLine(shown_(value)) + "\"";
    }

    void refuse(std::string_view name, const std::string& value, const std::string& why) {
        if (!problem_) {
            problem_ = permanentError(says(name, value) + ": " + why);
        }
    }

    bool isUsed(Resource resource) const { return rules_.used.count(resource) > 0; }

    void warnOfNoUse(std::string_view name, const std::string& value) {
        grant_.warnings.push_back(says(name, value) +
                                  ", which changes nothing: the batch system of this runner "
                                  "cannot be asked for it");
    }

    void amount(const AmountVariable& variable) {
        const auto& rule = rules_.*variable.rule;
        const auto value = asked(variable.name);
        std::optional<std::int64_t> given;
        if (!value.empty()) {
            given = variable.parse(value);
            if (!given) {
                return refuse(variable.name, value, variable.form);
            }
            if (!isUsed(variable.resource)) {
                return warnOfNoUse(variable.name, value);
            }
            if (rule.most && *given > *rule.most) {
                return refuse(variable.name, value,
                              "this runner gives at most " + variable.told(*rule.most));
            }
        } else if (rule.usual) {
            given = rule.usual;
        }
        if (variable.target != nullptr) {
            grant_.resources.*variable.target = given;
        } else if (const auto seconds = given ? given : rule.most) {
            grant_.resources.wallTime = std::chrono::seconds(*seconds);
        }
    }

    /// A name is taken only from the list, whatever the variable holds.
    void name(std::string_view variable, Resource resource, const std::string& what,
              const Words& allowed, std::string& target) {
        const auto value = asked(variable);
        if (value.empty()) {
            return;
        }
        if (!isUsed(resource)) {
            return warnOfNoUse(variable, value);
        }
        if (allowed.empty()) {
            return refuse(variable, value, "this runner lets no job choose its " + what);
        }
        if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
            return refuse(variable, value, "the " + what + " may be one of: " + listed(allowed));
        }
        target = value;
    }

    void account(const std::string& project) {
        Words allowed;
        for (const auto& [pattern, account] : rules_.projectAccounts) {
            if (fits(pattern, project)) {
                allowed.push_back(account);
            }
        }
        if (!allowed.empty() && isUsed(Resource::Account)) {
            grant_.resources.account = allowed.front();
        }
        allowed.insert(allowed.end(), rules_.accounts.begin(), rules_.accounts.end());
        name(kAccount, Resource::Account, "account", allowed, grant_.resources.account);
    }

    void warnOfUnknown(const std::string& name) {
        const auto& amounts = amountVariables();
        if (name == kQueue || name == kAccount ||
            std::any_of(amounts.begin(), amounts.end(),
                        [&](const auto& known) { return known.name == name; })) {
            return;
        }
        std::string all;
        for (const auto& known : amounts) {
            all.append(known.name).append(", ");
        }
        grant_.warnings.push_back("variable \"" + payload::oneLine(name) +
                                  "\" is not known and changes nothing; known are " + all +
                                  std::string(kQueue) + " and " + std::string(kAccount));
    }

    const ResourceRules& rules_;
    const Requests& requests_;
    const Shown& shown_;
    Grant grant_;
    std::optional<Error> problem_;
};

}  // namespace

std::optional<std::int64_t> parseAmount(std::string_view text) {
    constexpr std::string_view kUnits = "kmgt";
    const auto number = takeNumber(text);
    const auto unit = lowered(payload::trimmed(text));
    const auto at = unit.empty() ? std::string_view::npos : kUnits.find(unit.front());
    if (!number || *number == 0 || at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto rest = unit.substr(1);
    const auto factor = std::int64_t{1} << (10 * (at + 1));
    if ((rest != "" && rest != "b" && rest != "ib") || *number > kMostBytes / factor) {
        return std::nullopt;
    }
    return *number * factor;
}

std::optional<std::int64_t> parseWallTime(std::string_view text) {
    const auto clock = text.find(':') != std::string_view::npos;
    const auto seconds = clock ? parseClock(text) : parseUnits(text);
    return seconds && *seconds > 0 && *seconds <= kLongestTime ? seconds : std::nullopt;
}

Result<Grant> ResourceRules::grant(const Requests& requests, const std::string& project,
                                   const Shown& shown) const {
    return Grants(*this, requests, shown).make(project);
}

}  // namespace gridbridge::core
