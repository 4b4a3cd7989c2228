#include "bridge/payload/Expansion.h"

#include <algorithm>
#include <array>
#include <optional>

#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

bool isNameStart(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string_view nameAt(std::string_view text) {
    if (text.empty() || !isNameStart(text.front())) {
        return {};
    }
    const auto end = std::find_if_not(
        text.begin(), text.end(), [](char c) { return isNameStart(c) || (c >= '0' && c <= '9'); });
    return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

/// The index of the first unescaped `what`; the size when there is none.
std::size_t unescaped(std::string_view text, char what) {
    std::size_t at = 0;
    while (at < text.size() && text[at] != what) {
        at += text[at] == '\\' ? 2U : 1U;
    }
    return std::min(at, text.size());
}

/// The index of the `}` that closes `${`, whose inside this is; the size when there is none.
std::size_t endOfBraces(std::string_view text) {
    std::size_t depth = 1;
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == '\\') {
            ++at;
        } else if (text.substr(at).starts_with("${")) {
            ++depth;
            ++at;
        } else if (text[at] == '}' && --depth == 0) {
            return at;
        }
        ++at;
    }
    return text.size();
}

/// The operand as a word; of a pattern `*` and `?` stay special. Nothing when it is not literal.
std::optional<std::string> operandWord(std::string_view operand, bool pattern) {
    if (pattern && !operand.empty() && (operand[0] == '#' || operand[0] == '%')) {
        return std::nullopt;  // An anchor, or one more operator.
    }
    std::string word;
    std::string literal;
    const auto flush = [&] {
        word += literal.empty() ? "" : shellQuoted(literal);
        literal.clear();
    };
    for (std::size_t at = 0; at < operand.size(); ++at) {
        const char c = operand[at];
        if (std::string_view("$`'\"").find(c) != std::string_view::npos || (pattern && c == '[')) {
            return std::nullopt;
        }
        if (pattern && (c == '*' || c == '?')) {
            flush();
            word += c;
        } else if (c == '\\' && at + 1 < operand.size()) {
            literal += operand[++at];
        } else {
            literal += c;
        }
    }
    flush();
    return word;
}

/// `:OFFSET` or `:OFFSET:LENGTH`, digits alone.
bool isSlice(std::string_view text) {
    const auto digits = [](std::string_view part) {
        return !part.empty() && part.size() <= 9 &&
               std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!text.starts_with(':')) {
        return false;
    }
    text.remove_prefix(1);
    const auto colon = text.find(':');
    return digits(text.substr(0, colon)) &&
           (colon == std::string_view::npos || digits(text.substr(colon + 1)));
}

/// An operand that is no pattern may hold references itself.
std::optional<std::string> defaultWord(std::string_view operand) {
    if (!hasReference(operand)) {
        return operandWord(operand, false);
    }
    constexpr std::size_t kLongest = 1000;  // Each level of it is a level of calls.
    if (operand.size() > kLongest || operand.find_first_of("`'\"\\") != std::string_view::npos) {
        return std::nullopt;
    }
    auto nested = nodeText(operand);
    return nested.partlyLiteral ? std::nullopt : std::optional(std::move(nested.word));
}

/// `${NAME` and what follows up to, without, the `}`.
std::optional<std::string> braced(std::string_view inside) {
    const auto name = std::string(nameAt(inside));
    auto rest = inside.substr(name.size());
    if (name.empty() || rest.empty()) {
        return name.empty() ? std::nullopt : std::optional("${" + name + "}");
    }
    constexpr std::array<std::string_view, 10> kOperators = {":-", ":=", ":+", ":?", "##",
                                                             "%%", "//", "#",  "%",  "/"};
    if (isSlice(rest)) {
        return "${" + name + std::string(rest) + "}";
    }
    const auto* const found = std::find_if(kOperators.begin(), kOperators.end(),
                                           [&](auto each) { return rest.starts_with(each); });
    if (found == kOperators.end()) {
        return std::nullopt;
    }
    rest.remove_prefix(found->size());
    const auto begin = "${" + name + std::string(*found == ":=" || *found == ":?" ? ":-" : *found);
    if (*found == ":?") {
        return begin + shellQuoted("${" + std::string(inside) + "}") + "}";
    }
    const bool replaces = found->front() == '/';
    const auto end = replaces ? unescaped(rest, '/') : rest.size();
    const bool isPattern = found->front() != ':';
    const auto first =
        isPattern ? operandWord(rest.substr(0, end), true) : defaultWord(rest.substr(0, end));
    const auto second = end < rest.size() ? operandWord(rest.substr(end + 1), false)
                                          : std::optional<std::string>("");
    if (!first || !second || (replaces && first->empty())) {
        return std::nullopt;
    }
    return begin + *first + (replaces ? "/" + *second : "") + "}";
}

struct Reference {
    std::string word;        ///< Empty = is taken as it is.
    std::size_t length = 0;  ///< Of the text, with the `$`; 0 = it is none.
};

Reference referenceAt(std::string_view text) {
    if (const auto name = nameAt(text.substr(1)); !name.empty()) {
        return {"${" + std::string(name) + "}", 1 + name.size()};
    }
    if (!text.starts_with("${")) {
        return {};
    }
    const auto inside = text.substr(2);
    const auto end = endOfBraces(inside);
    if (end == inside.size()) {
        return {};
    }
    return {braced(inside.substr(0, end)).value_or(""), end + 3};
}

}  // namespace

bool hasReference(std::string_view text) {
    return text.find('$') != std::string_view::npos;
}

NodeText nodeText(std::string_view text) {
    NodeText result;
    std::string literal;
    if (text.find('\0') != std::string_view::npos) {
        text = {};
    }
    const auto flush = [&] {
        result.word += literal.empty() ? "" : shellQuoted(literal);
        literal.clear();
    };
    while (!text.empty()) {
        const auto reference = text.front() == '$' ? referenceAt(text) : Reference{};
        if (!reference.word.empty()) {
            flush();
            result.word += reference.word;
            text.remove_prefix(reference.length);
            continue;
        }
        const bool escaped = text.starts_with("\\$");
        text.remove_prefix(escaped ? 1 : 0);
        const bool odd = text.size() > 1 && text[0] == '$' && text[1] != '/' && text[1] != ' ';
        result.partlyLiteral = result.partlyLiteral || (odd && !escaped) || text[0] == '`';
        const auto length = std::max<std::size_t>(reference.length, 1);
        literal += text.substr(0, length);
        text.remove_prefix(length);
    }
    flush();
    result.word = result.word.empty() ? "''" : result.word;
    return result;
}

}  // namespace gridbridge::payload
