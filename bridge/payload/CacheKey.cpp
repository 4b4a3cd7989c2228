#include "bridge/payload/CacheKey.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";
constexpr std::string_view kProtected = "-protected";

/// `%2f` and `%2e` are read once: what that makes is not read again.
std::string decoded(std::string_view key) {
    std::string text;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const auto next = key.substr(i, 3);
        const bool escaped = next.size() == 3 && next.starts_with("%2");
        if (escaped && (next[2] == 'f' || next[2] == 'F')) {
            text += '/';
            i += 2;
        } else if (escaped && (next[2] == 'e' || next[2] == 'E')) {
            text += '.';
            i += 2;
        } else {
            text += key[i] == '\\' ? '/' : key[i];
        }
    }
    return text;
}

constexpr std::size_t kLongestKey = 4096;

/// Cut where it is longer than kLongestKey.
std::string expandedText(const Variables& variables, const std::string& text) {
    auto budget = kLongestKey + 1;
    return plainText(variables.expand(text, budget));
}

class Planner {
public:
    Planner(const Variables& variables, std::vector<std::string>& warnings)
        : variables_(variables), warnings_(warnings) {}

    /// Adds the key as it is used, once.
    void add(CachePlan& plan, const std::string& text) {
        addExpanded(plan, expandedText(variables_, text));
    }

    /// CACHE_FALLBACK_KEY is the job's own text: GitLab put no suffix to it that says of whose
    /// branches the cache is. What a variable holds is expanded already.
    void addOwn(CachePlan& plan) {
        const auto own = variables_.setting("CACHE_FALLBACK_KEY");
        if (own.empty()) {
            return;
        }
        const auto clean = cleanedCacheKey(own);
        const auto end = clean.find_last_not_of(std::string(kBlanks) + ".");
        if (std::string_view(clean).substr(0, end + 1).ends_with(kProtected)) {
            warnings_.push_back("CACHE_FALLBACK_KEY \"" + oneLine(own) +
                                "\" not allowed to end in \"" + std::string(kProtected) + "\"");
            return;
        }
        addExpanded(plan, own);
    }

private:
    void addExpanded(CachePlan& plan, const std::string& key) {
        // What is cut off may be what says of whose branches the cache is.
        if (key.size() > kLongestKey) {
            warnings_.push_back("cache key \"" + oneLine(key.substr(0, 40)) +
                                "...\" is too long, skipping");
            return;
        }
        const auto clean = cleanedCacheKey(key);
        if (clean.empty()) {
            warnings_.push_back("cache key \"" + oneLine(key) +
                                "\" has nothing left that can be a key, skipping");
            return;
        }
        if (clean != key) {
            warnings_.push_back("cache key \"" + oneLine(key) + "\" sanitized to \"" +
                                oneLine(clean) + "\"");
        }
        if (std::find(plan.keys.begin(), plan.keys.end(), clean) == plan.keys.end()) {
            plan.keys.push_back(clean);
        }
    }

    const Variables& variables_;
    std::vector<std::string>& warnings_;
};

}  // namespace

std::string cleanedCacheKey(std::string_view key) {
    const auto text = decoded(key);
    std::vector<std::string_view> parts;
    for (std::string_view rest = text; !rest.empty();) {
        const auto end = std::min(rest.find('/'), rest.size());
        auto part = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        part = part.substr(0, part.find_last_not_of(kBlanks) + 1);
        if (part == "..") {
            parts.resize(parts.empty() ? 0 : parts.size() - 1);
        } else if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
    }
    std::string clean;
    for (const auto part : parts) {
        clean += (clean.empty() ? "" : "/") + std::string(part);
    }
    return clean;
}

std::string cacheFolderName(std::string_view key) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (EVP_Digest(key.data(), key.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string name;
    for (unsigned int i = 0; i < length; ++i) {
        name += kDigits[digest[i] >> 4U];
        name += kDigits[digest[i] & 0xfU];
    }
    return name;
}

std::optional<CachePlan> planCache(const gitlab::JobDescription& job,
                                   const gitlab::CacheEntry& entry, const Variables& variables,
                                   std::vector<std::string>& warnings) {
    CachePlan plan;
    Planner planner(variables, warnings);
    planner.add(plan, entry.key.empty() ? job.name + "/" + job.git.ref : entry.key);
    if (plan.keys.empty()) {
        return std::nullopt;
    }
    constexpr std::size_t kMostFallbackKeys = 10;  // Twice as many as GitLab allows.
    for (std::size_t i = 0; i < std::min(entry.fallbackKeys.size(), kMostFallbackKeys); ++i) {
        planner.add(plan, entry.fallbackKeys[i]);
    }
    planner.addOwn(plan);
    const auto policy = expandedText(variables, entry.policy);
    plan.pull = policy.empty() || policy == "pull-push" || policy == "pull";
    plan.push = policy.empty() || policy == "pull-push" || policy == "push";
    plan.unknownPolicy = plan.pull || plan.push ? "" : policy;
    return plan;
}

}  // namespace gridbridge::payload
