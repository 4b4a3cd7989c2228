#include <optional>
#include <regex.h>
#include <string>
#include <vector>

#include "bridge/payload/Glob.h"
#include "bridge/payload/Utf8.h"
#include "tests/fuzz/Fuzz.h"

// Input: the pattern on one line, then the path.

namespace gridbridge::fuzz {

namespace {

/// One unit of a pattern, as job-execution 6.3 lists them.
struct Unit {
    enum class Kind { Literal, Star, Question, Class, Open, Comma, Close };
    Kind kind = Kind::Literal;
    char32_t literal = 0;
    bool escaped = false;
    std::string body = {};  ///< Of a class, without brackets.
};
using Units = std::vector<Unit>;

std::optional<Unit> classAt(std::string_view text, std::size_t& at) {
    Unit unit{.kind = Unit::Kind::Class};
    for (++at; at < text.size(); ++at) {
        const bool negation = unit.body.empty() && (text[at] == '!' || text[at] == '^');
        if (text[at] == ']' && !unit.body.empty() && unit.body != "!") {
            ++at;
            return unit;
        }
        if (text[at] == ']') {
            return std::nullopt;
        }
        unit.body += negation ? '!' : text[at];
        if (text[at] == '\\' && ++at < text.size()) {
            unit.body += text[at];
        }
    }
    return std::nullopt;
}

/// Nothing when a class or an escape has no end.
std::optional<Units> unitsOf(std::string_view text) {
    using Kind = Unit::Kind;
    Units units;
    std::size_t depth = 0;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '[') {
            auto unit = classAt(text, at);
            if (!unit) {
                return std::nullopt;
            }
            units.push_back(*std::move(unit));
            continue;
        }
        if (c == '*' || c == '?' || c == '{' || (depth > 0 && (c == ',' || c == '}'))) {
            depth += c == '{' ? 1U : 0U;
            depth -= c == '}' ? 1U : 0U;
            units.push_back({.kind = c == '*'   ? Kind::Star
                                     : c == '?' ? Kind::Question
                                     : c == '{' ? Kind::Open
                                     : c == ',' ? Kind::Comma
                                                : Kind::Close});
            ++at;
            continue;
        }
        const bool escaped = c == '\\';
        if (escaped && ++at == text.size()) {
            return std::nullopt;
        }
        units.push_back({.literal = payload::nextCodePoint(text, at), .escaped = escaped});
    }
    return depth == 0 ? std::optional(units) : std::nullopt;
}

/// The patterns without braces that this one stands for.
std::vector<Units> alternatives(const Units& units) {
    using Kind = Unit::Kind;
    std::size_t open = 0;
    while (open < units.size() && units[open].kind != Kind::Open) {
        ++open;
    }
    if (open == units.size()) {
        return {units};
    }
    std::vector<Units> choices(1);
    std::size_t close = open + 1;
    for (std::size_t depth = 1; depth > 0; ++close) {
        depth += units[close].kind == Kind::Open ? 1U : 0U;
        depth -= units[close].kind == Kind::Close ? 1U : 0U;
        if (depth == 1 && units[close].kind == Kind::Comma) {
            choices.emplace_back();
        } else if (depth > 0) {
            choices.back().push_back(units[close]);
        }
    }
    std::vector<Units> result;
    for (const auto& choice : choices) {
        Units one(units.begin(), units.begin() + static_cast<long>(open));
        one.insert(one.end(), choice.begin(), choice.end());
        one.insert(one.end(), units.begin() + static_cast<long>(close), units.end());
        for (auto& each : alternatives(one)) {
            result.push_back(std::move(each));
        }
    }
    return result;
}

bool inClass(const std::string& body, char32_t c) {
    std::size_t at = body.starts_with('!') ? 1 : 0;
    const bool negated = at == 1;
    bool inside = false;
    const auto next = [&] {
        at += body[at] == '\\' ? 1U : 0U;
        return payload::nextCodePoint(body, at);
    };
    while (at < body.size()) {
        const auto low = next();
        auto high = low;
        if (at + 1 < body.size() && body[at] == '-') {
            ++at;
            high = next();
        }
        inside = inside || (low <= c && c <= high);
    }
    return inside != negated && c != U'/';
}

/// Tries everything, and remembers what has been tried.
class Oracle {
public:
    Oracle(const Units& units, const std::u32string& path)
        : units_(units), path_(path), tried_((units.size() + 1) * (path.size() + 1)) {}

    bool fits(std::size_t unit, std::size_t at) {
        auto& known = tried_[unit * (path_.size() + 1) + at];
        if (known == 0) {
            known = 1;
            known = look(unit, at) ? 2 : 1;
        }
        return known == 2;
    }

private:
    bool isStar(std::size_t unit) const {
        return unit < units_.size() && units_[unit].kind == Unit::Kind::Star;
    }
    bool isSlash(std::size_t unit) const {
        return unit < units_.size() && units_[unit].kind == Unit::Kind::Literal &&
               units_[unit].literal == U'/';
    }
    /// A component `**`, at its first star.
    bool isAny(std::size_t unit) const {
        return (unit == 0 || isSlash(unit - 1)) && isStar(unit) && isStar(unit + 1) &&
               (unit + 2 == units_.size() || (isSlash(unit + 2) && !units_[unit + 2].escaped));
    }
    bool onlyAnyFollows(std::size_t unit) const {
        while (unit < units_.size() && isAny(unit)) {
            if (unit + 2 == units_.size()) {
                return true;
            }
            unit += 3;
        }
        return false;
    }

    bool look(std::size_t unit, std::size_t at) {
        if (unit == units_.size()) {
            return at == path_.size();
        }
        if (isAny(unit)) {
            return lookBelow(unit, at);
        }
        if (isSlash(unit) && at == path_.size() && onlyAnyFollows(unit + 1)) {
            return true;
        }
        const auto& here = units_[unit];
        if (here.kind == Unit::Kind::Star) {
            return fits(unit + 1, at) ||
                   (at < path_.size() && path_[at] != U'/' && fits(unit, at + 1));
        }
        return at < path_.size() && one(here, path_[at]) && fits(unit + 1, at + 1);
    }

    bool lookBelow(std::size_t unit, std::size_t at) {
        if (unit + 2 == units_.size() || fits(unit + 3, at)) {
            return true;
        }
        for (; at < path_.size(); ++at) {
            if (path_[at] == U'/' && fits(unit + 3, at + 1)) {
                return true;
            }
        }
        return false;
    }

    static bool one(const Unit& unit, char32_t c) {
        if (unit.kind == Unit::Kind::Question) {
            return c != U'/';
        }
        return unit.kind == Unit::Kind::Class ? inClass(unit.body, c) : unit.literal == c;
    }

    const Units& units_;
    const std::u32string& path_;
    std::vector<char> tried_;
};

bool regexFits(const std::string& expression, const std::string& path) {
    regex_t regex;
    require(::regcomp(&regex, ("^" + expression + "$").c_str(), REG_EXTENDED | REG_NOSUB) == 0,
            "the node's expression is one");
    const bool fits = ::regexec(&regex, path.c_str(), 0, nullptr, 0) == 0;
    ::regfree(&regex);
    return fits;
}

}  // namespace

void tryWith(std::string_view input) {
    constexpr std::size_t kLongest = 48;
    constexpr std::size_t kMostAlternatives = 256;
    const auto pattern = take(input, '\n');
    const auto path = input;
    if (pattern.size() > kLongest || path.size() > kLongest) {
        payload::Glob::parse(pattern);
        return;
    }
    const auto glob = payload::Glob::parse(pattern);
    const auto units = unitsOf(pattern);
    const auto all = units ? alternatives(*units) : std::vector<Units>{};
    require(glob.has_value() == (units.has_value() && all.size() <= kMostAlternatives),
            "exactly the patterns that are some can be read");
    if (!glob) {
        return;
    }
    std::u32string characters;
    for (std::size_t at = 0; at < path.size();) {
        characters += payload::nextCodePoint(path, at);
    }
    bool expected = false;
    for (const auto& each : all) {
        expected = expected || Oracle(each, characters).fits(0, 0);
    }
    const bool fits = glob->matches(path);
    require(fits == expected, "a pattern fits as the plainest reading says");
    require(!fits || glob->matchesTree(path), "what fits is in the tree");
    require(!fits || pattern.find('\0') != std::string_view::npos ||
                path.find('\0') != std::string_view::npos ||
                regexFits(glob->expression(), std::string(path)),
            "the node misses nothing");
}

}  // namespace gridbridge::fuzz
