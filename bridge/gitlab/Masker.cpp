#include "bridge/gitlab/Masker.h"

#include <Poco/Base64Encoder.h>
#include <Poco/URI.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace gridbridge::gitlab {

namespace {

using Span = PatternTree::Span;

constexpr std::string_view kMasked = "[MASKED]";
constexpr std::string_view kBlank = " \t\r\n\v\f";
/// Names of URL parameters, and prefixes of tokens, that the official runner hides too.
constexpr std::array<std::string_view, 6> kParameters{"private_token",    "authenticity_token",
                                                      "rss_token",        "x-amz-signature",
                                                      "x-amz-credential", "x-amz-security-token"};
constexpr std::array<std::string_view, 14> kPrefixes{
    "glpat-", "gloas-", "gldt-",    "glrt-",   "glcbt-",  "glrtr-",           "glptt-",
    "glft-",  "glimt-", "glagent-", "glsoat-", "glffct-", "_gitlab_session=", "gltok-"};
constexpr std::array<std::string_view, 4> kModes{"plain", "inside_run", "url_value", "token_tail"};

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool inUrlValue(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f && c != '?' && c != '&';
}

bool inTokenTail(char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '=' || c == '-';
}

/// A parameter's name or a token's prefix, and the secret that follows it.
struct Key {
    Span name;
    std::size_t valueEnd = 0;  ///< At least name.end.
    MaskMode kind = MaskMode::Plain;

    bool isOpenAt(std::size_t at, std::size_t size) const {
        return name.end < at && (at < valueEnd || (valueEnd == size && at == size));
    }
};

template <typename Inside>
std::size_t endOfValue(std::string_view raw, std::size_t from, const Inside& inside) {
    const auto rest = raw.substr(from);
    return from + static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), inside) -
                                           rest.begin());
}

/// Everything in one piece of the stream that hides something.
struct Scene {
    std::string_view raw;
    MaskMode before;
    std::size_t given = 0;      ///< The piece begins with so many bytes of an open value.
    std::vector<Span> phrases;  ///< By ascending end.
    std::vector<Key> keys;
    std::size_t undecided = 0;

    Scene(std::string_view text, MaskMode mode, const PatternTree& tree) : raw(text), before(mode) {
        if (mode == MaskMode::UrlValue) {
            given = endOfValue(raw, 0, inUrlValue);
        } else if (mode == MaskMode::TokenTail) {
            given = endOfValue(raw, 0, inTokenTail);
        }
        auto found = tree.scan(raw);
        phrases = std::move(found.phrases);
        undecided = found.undecided;
        std::size_t tail = 0;  // Prefixes inside a tail end where it ends.
        for (const auto& name : found.prefixes) {
            tail = name.end < tail ? tail : endOfValue(raw, name.end, inTokenTail);
            keys.push_back({name, tail, MaskMode::TokenTail});
        }
        findParameters();
    }

    void findParameters() {
        auto question = raw.find('?');
        auto ampersand = raw.find('&');
        while (std::min(question, ampersand) != std::string_view::npos) {
            const auto at = std::min(question, ampersand);
            parameterAt(at);
            auto& next = at == question ? question : ampersand;
            next = raw.find(raw[at], at + 1);
        }
    }

    void parameterAt(std::size_t at) {
        const auto rest = raw.substr(at + 1);
        for (const auto name : kParameters) {
            const auto known = std::min(rest.size(), name.size());
            const bool fits =
                std::equal(rest.begin(), rest.begin() + static_cast<long>(known), name.begin(),
                           [](char a, char b) { return lower(a) == b; });
            if (!fits || (known < rest.size() && rest[known] != '=')) {
                continue;
            }
            if (known == rest.size()) {
                undecided = std::max(undecided, raw.size() - at);
                continue;
            }
            const auto end = at + 1 + known + 1;
            keys.push_back({{at, end}, endOfValue(raw, end, inUrlValue), MaskMode::UrlValue});
        }
    }

    /// Chains of overlapping secrets, ascending and disjoint.
    std::vector<Span> runs() const {
        auto spans = phrases;
        if (given > 0) {
            spans.push_back({0, given});
        }
        for (const auto& key : keys) {
            if (key.valueEnd > key.name.end) {
                spans.push_back({key.name.end, key.valueEnd});
            }
        }
        std::sort(spans.begin(), spans.end(),
                  [](const Span& a, const Span& b) { return a.begin < b.begin; });
        std::vector<Span> merged;
        for (const auto& span : spans) {
            if (!merged.empty() && span.begin < merged.back().end) {
                merged.back().end = std::max(merged.back().end, span.end);
            } else {
                merged.push_back(span);
            }
        }
        return merged;
    }

    /// The last place at which the next call can go on without what stands before it.
    std::size_t resume() const {
        auto at = raw.size() - undecided;
        for (auto next = earlier(at); next < at; next = earlier(at)) {
            at = next;
        }
        return at;
    }

    std::size_t earlier(std::size_t at) const {
        // Inside phrases: go on at the one that reaches furthest. Those that begin at it or later
        // are found again, and the others lie within it.
        Span furthest{at, at};
        for (const auto& phrase : phrases) {
            if (phrase.begin <= at && phrase.end > furthest.end) {
                furthest = phrase;
            }
        }
        at = furthest.begin;
        for (const auto& key : keys) {
            if (key.name.begin < at && at <= key.name.end && !covered(at, key.name.end)) {
                at = key.name.begin;
            }
        }
        return at;
    }

    /// Whether an open value hides everything from `at` to `end`, and what follows it.
    bool covered(std::size_t at, std::size_t end) const {
        return (at > 0 && given >= end) ||
               std::any_of(keys.begin(), keys.end(), [&](const Key& key) {
                   return key.name.end < at && key.valueEnd >= end;
               });
    }

    MaskMode modeAt(std::size_t at) const {
        if (at == 0) {
            return before;
        }
        auto mode = MaskMode::Plain;
        const bool stillGiven = at < given || (given == raw.size() && at == given);
        if (stillGiven && (before == MaskMode::UrlValue || before == MaskMode::TokenTail)) {
            mode = before;
        }
        for (const auto& key : keys) {
            // A token in a URL ends where the value does, or before.
            if (mode != MaskMode::UrlValue && key.isOpenAt(at, raw.size())) {
                mode = key.kind;
            }
        }
        const bool inside = std::any_of(phrases.begin(), phrases.end(), [at](const Span& each) {
            return each.begin < at && at < each.end;
        });
        return mode == MaskMode::Plain && inside ? MaskMode::InsideRun : mode;
    }

    bool alreadyMasked(const Span& run) const {
        return run.begin == 0 && (before == MaskMode::InsideRun || given > 0);
    }
};

std::vector<std::string_view> textsOf(const std::vector<Secret>& phrases) {
    std::vector<std::string_view> texts;
    for (const auto& phrase : phrases) {
        texts.push_back(trimmed(phrase.reveal()));
    }
    return texts;
}

std::vector<std::string_view> prefixesWith(const std::vector<std::string>& more) {
    std::vector<std::string_view> prefixes(kPrefixes.begin(), kPrefixes.end());
    for (const auto& prefix : more) {
        prefixes.push_back(trimmed(prefix));
    }
    return prefixes;
}

}  // namespace

std::string_view nameOf(MaskMode mode) {
    return kModes.at(static_cast<std::size_t>(mode));
}

MaskMode maskModeNamed(std::string_view name) {
    const auto* const found = std::find(kModes.begin(), kModes.end(), name);
    return found == kModes.end() ? MaskMode::Plain : static_cast<MaskMode>(found - kModes.begin());
}

Masker::Masker(const std::vector<Secret>& phrases, const std::vector<std::string>& tokenPrefixes)
    : tree_(textsOf(phrases), prefixesWith(tokenPrefixes)) {}

MaskStep Masker::step(std::string_view raw, MaskMode mode, bool end) const {
    const Scene scene(raw, mode, tree_);
    MaskStep result;
    result.consumed = end ? raw.size() : scene.resume();
    result.mode = end ? MaskMode::Plain : scene.modeAt(result.consumed);
    std::size_t at = 0;
    for (const auto& run : scene.runs()) {
        if (run.begin >= result.consumed) {
            break;
        }
        result.text.append(raw.substr(at, run.begin - at));
        if (!scene.alreadyMasked(run)) {
            result.text.append(kMasked);
        }
        at = std::min(run.end, result.consumed);
    }
    result.text.append(raw.substr(at, result.consumed - at));
    return result;
}

std::vector<Secret> tokenForms(const Secret& token) {
    if (token.empty()) {
        return {};
    }
    std::string encoded;
    Poco::URI::encode(token.reveal(), "!#$&'()*+,/:;=?@[]", encoded);
    std::ostringstream basic;
    Poco::Base64Encoder encoder(basic);
    encoder.rdbuf()->setLineLength(0);
    encoder << "gitlab-ci-token:" << token.reveal();
    encoder.close();
    return {token, Secret(std::move(encoded)), Secret(basic.str())};
}

}  // namespace gridbridge::gitlab
