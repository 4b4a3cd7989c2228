#include "bridge/payload/Glob.h"

#include <algorithm>

#include "bridge/payload/Utf8.h"

namespace gridbridge::payload {

namespace {

constexpr std::size_t kLongestPattern = 4096;
constexpr std::size_t kMostAlternatives = 256;
/// Of all alternatives together.
constexpr std::size_t kLongestChoices = std::size_t{16} << 10;
constexpr char32_t kLast = 0x10ffff;
constexpr char32_t kDelete = 0x7f;
constexpr char32_t kFirstOfSeveralBytes = 0x80;
constexpr std::string_view kSpecial = "\\.^$+()|[]{}*?";
constexpr std::string_view kSeveralBytes = "[\xc2-\xf4][\x80-\xbf]{1,3}";

/// The index after the character class that starts at `at`; npos when it has no end.
std::size_t endOfClass(std::string_view text, std::size_t at) {
    ++at;
    if (at < text.size() && (text[at] == '^' || text[at] == '!')) {
        ++at;
    }
    for (; at < text.size(); ++at) {
        if (text[at] == '\\') {
            ++at;
        } else if (text[at] == ']') {
            return at + 1;
        }
    }
    return std::string_view::npos;
}

/// The index after one unit of a pattern: an escape, a class or a character.
std::size_t endOfUnit(std::string_view text, std::size_t at) {
    if (text[at] == '\\') {
        return at + 2 <= text.size() ? at + 2 : std::string_view::npos;
    }
    return text[at] == '[' ? endOfClass(text, at) : at + 1;
}

/// The choices of the brace at `open`, and where it ends; nothing when it does not end.
struct Choices {
    std::vector<std::string_view> texts;
    std::size_t close = 0;
};
std::optional<Choices> choicesAt(std::string_view text, std::size_t open) {
    Choices choices;
    std::size_t depth = 1;
    std::size_t start = open + 1;
    for (std::size_t at = start; at < text.size(); at = endOfUnit(text, at)) {
        const char c = text[at];
        depth += std::size_t{c == '{'};
        if (depth == 1 && (c == ',' || c == '}')) {
            choices.texts.push_back(text.substr(start, at - start));
            start = at + 1;
        }
        depth -= std::size_t{c == '}'};
        if (depth == 0) {
            choices.close = at;
            return choices;
        }
    }
    return std::nullopt;
}

/// Writes the pattern without braces, once for each choice. False when it is malformed.
bool expandBraces(std::string_view text, std::vector<std::string>& out, std::size_t& length) {
    std::size_t open = 0;
    while (open < text.size() && text[open] != '{') {
        open = endOfUnit(text, open);
    }
    if (open == std::string_view::npos) {
        return false;
    }
    if (open == text.size()) {
        out.emplace_back(text);
        length += text.size();
        return out.size() <= kMostAlternatives && length <= kLongestChoices;
    }
    const auto choices = choicesAt(text, open);
    if (!choices) {
        return false;
    }
    for (const auto choice : choices->texts) {
        std::string one(text.substr(0, open));
        one += choice;
        one += text.substr(choices->close + 1);
        if (!expandBraces(one, out, length)) {
            return false;
        }
    }
    return true;
}

}  // namespace

/// Turns a pattern without braces into states and into a regular expression, side by side.
class Glob::Compiler {
public:
    explicit Compiler(std::string_view pattern) : text_(pattern) {}

    bool run() {
        while (at_ < text_.size()) {
            if (!step()) {
                return false;
            }
        }
        return true;
    }

    Chain chain;
    std::string expression;
    bool exact = true;
    std::string names;  ///< The expression for names in UTF-8.
    bool namesExact = true;

private:
    bool step() {
        const char c = text_[at_];
        if (c == '*') {
            stars();
            return true;
        }
        if (c == '?') {
            ++at_;
            chain.push_back({.ranges = {{U'/', U'/'}}, .negated = true});
            anyCharacter();
            names += "([^/\x80-\xff]|" + std::string(kSeveralBytes) + ")";
            return true;
        }
        if (c == '[') {
            return characterClass();
        }
        if (c == '\\') {
            ++at_;
        }
        if (at_ >= text_.size()) {
            return false;
        }
        literal(nextCodePoint(text_, at_));
        return true;
    }

    void both(std::string_view text) {
        expression += text;
        names += text;
    }

    /// However many bytes it has.
    void anyCharacter() {
        expression += "[^/]{1,4}";
        exact = false;
    }

    void literal(char32_t c) {
        chain.push_back({.ranges = {{c, c}}});
        const auto bytes = bytesOf(c);
        // A byte that is no character here may be a part of one in a path.
        exact = exact && isValidUtf8(bytes);
        namesExact = namesExact && isValidUtf8(bytes);
        if (bytes.size() == 1 && kSpecial.find(bytes[0]) != std::string_view::npos) {
            both("\\");
        }
        both(bytes);
    }

    void stars() {
        const auto end = std::min(text_.find_first_not_of('*', at_), text_.size());
        const bool wholeComponent = end - at_ == 2 && (at_ == 0 || text_[at_ - 1] == '/') &&
                                    (end == text_.size() || text_[end] == '/');
        at_ = end;
        if (!wholeComponent) {
            chain.push_back({.kind = Kind::Many, .ranges = {{U'/', U'/'}}, .negated = true});
            both("[^/]*");
        } else if (at_ < text_.size()) {
            ++at_;
            if (text_.substr(at_) == "**" || text_.substr(at_).starts_with("**/")) {
                return;  // The next one says the same.
            }
            chain.push_back({.kind = Kind::Fork, .skip = 2});
            chain.push_back({.kind = Kind::Many, .ranges = {{0, kLast}}, .slashEndsIt = true});
            both("(.*/)?");
        } else {
            endsWithEverything();
        }
    }

    void endsWithEverything() {
        const State everything{.kind = Kind::Many, .ranges = {{0, kLast}}};
        if (expression.empty() || expression.back() != '/') {
            chain.push_back(everything);
            both(".*");
            return;
        }
        // "a/**" is also "a" itself.
        const auto slash = chain.back();
        chain.pop_back();
        expression.pop_back();
        names.pop_back();
        chain.push_back({.kind = Kind::Fork, .skip = 3});
        chain.push_back(slash);
        chain.push_back(everything);
        both("(/.*)?");
    }

    bool characterClass() {
        const auto end = endOfClass(text_, at_);
        if (end == std::string_view::npos) {
            return false;
        }
        const auto body = text_.substr(0, end - 1);
        ++at_;
        State state;
        state.negated = body.size() > at_ && (body[at_] == '^' || body[at_] == '!');
        at_ += std::size_t{state.negated};
        while (at_ < body.size()) {
            const auto low = classCharacter(body);
            auto high = low;
            if (at_ + 1 < body.size() && body[at_] == '-') {
                ++at_;
                high = classCharacter(body);
            }
            state.ranges.push_back({low, high});
        }
        at_ = end;
        if (state.ranges.empty()) {
            return false;
        }
        state.neverSlash = true;
        if (const auto text = classExpression(state); !text.empty()) {
            both(text);
        } else {
            anyCharacter();
            const auto written = writtenOut(state);
            namesExact = namesExact && !written.empty();
            names += written;
        }
        chain.push_back(std::move(state));
        return true;
    }

    char32_t classCharacter(std::string_view body) {
        at_ += std::size_t{body[at_] == '\\'};
        return nextCodePoint(body, at_);
    }

    /// Of classes of plain letters and digits; empty for the rest, of which the service decides.
    static std::string classExpression(const State& state) {
        const auto plain = [](char32_t c) {
            return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9');
        };
        std::string text = "[";
        for (const auto& range : state.ranges) {
            if (state.negated || !plain(range.low) || !plain(range.high) ||
                range.low > range.high) {
                return {};
            }
            text += bytesOf(range.low) + "-" + bytesOf(range.high);
        }
        return text + "]";
    }

    /// A class of characters of one byte: each that fits. Empty when there are others, or none.
    static std::string writtenOut(const State& state) {
        if (std::any_of(state.ranges.begin(), state.ranges.end(), [](const Range& range) {
                return std::max(range.low, range.high) >= kFirstOfSeveralBytes;
            })) {
            return {};
        }
        // A newline in it would be slow on the node.
        bool control = fits(state, kDelete);
        for (char32_t c = 1; c < U' '; ++c) {
            control = control && fits(state, c);
        }
        std::string text = control ? "|[[:cntrl:]]" : "";
        for (char32_t c = control ? U' ' : 1; c < kFirstOfSeveralBytes; ++c) {
            if (fits(state, c)) {
                const auto byte = static_cast<char>(c);
                text += kSpecial.find(byte) == std::string_view::npos ? "|" : "|\\";
                text += byte;
            }
        }
        text += state.negated ? "|" + std::string(kSeveralBytes) : "";
        return text.empty() ? text : "(" + text.substr(1) + ")";
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

std::optional<Glob> Glob::parse(std::string_view pattern) {
    if (pattern.size() > kLongestPattern) {
        return std::nullopt;
    }
    std::vector<std::string> choices;
    std::size_t length = 0;
    if (!expandBraces(pattern, choices, length)) {
        return std::nullopt;
    }
    Glob glob;
    bool namesExact = true;
    for (const auto& choice : choices) {
        Compiler compiler(choice);
        if (!compiler.run()) {
            return std::nullopt;
        }
        glob.expression_ += (glob.alternatives_.empty() ? "" : "|") + compiler.expression;
        glob.exact_ = glob.exact_ && compiler.exact;
        glob.exactExpression_ += (glob.alternatives_.empty() ? "" : "|") + compiler.names;
        namesExact = namesExact && compiler.namesExact;
        glob.alternatives_.push_back(std::move(compiler.chain));
    }
    glob.expression_ = "(" + glob.expression_ + ")";
    glob.exactExpression_ = namesExact ? "(" + glob.exactExpression_ + ")" : "";
    const auto special = pattern.find_first_of("*?[{\\");
    if (special == std::string_view::npos) {
        glob.path_ = pattern;
    }
    const auto slash = pattern.substr(0, special).rfind('/');
    glob.folder_ = slash == std::string_view::npos ? "" : pattern.substr(0, slash + 1);
    return glob;
}

bool Glob::fits(const State& state, char32_t c) {
    const bool inside = std::any_of(state.ranges.begin(), state.ranges.end(),
                                    [&](const Range& r) { return c >= r.low && c <= r.high; });
    return inside != state.negated && !(state.neverSlash && c == U'/');
}

void Glob::enter(const Chain& chain, std::vector<bool>& active, std::size_t at) {
    for (;; ++at) {
        if (active[at]) {
            return;
        }
        active[at] = true;
        if (at == chain.size() || chain[at].kind == Kind::One ||
            (chain[at].kind == Kind::Many && chain[at].slashEndsIt)) {
            return;
        }
        if (chain[at].kind == Kind::Fork) {
            enter(chain, active, at + chain[at].skip);
        }
    }
}

bool Glob::run(const Chain& chain, const std::u32string& path, bool tree) {
    std::vector<bool> active(chain.size() + 1);
    enter(chain, active, 0);
    for (const char32_t c : path) {
        if (tree && c == U'/' && active[chain.size()]) {
            return true;
        }
        std::vector<bool> next(chain.size() + 1);
        for (std::size_t i = 0; i < chain.size(); ++i) {
            if (!active[i] || chain[i].kind == Kind::Fork) {
                continue;
            }
            if (chain[i].slashEndsIt && c == U'/') {
                enter(chain, next, i + 1);
            }
            if (fits(chain[i], c)) {
                enter(chain, next, chain[i].kind == Kind::Many ? i : i + 1);
            }
        }
        active.swap(next);
    }
    return active[chain.size()];
}

bool Glob::anyRun(std::string_view path, bool tree) const {
    std::u32string characters;
    for (std::size_t at = 0; at < path.size();) {
        characters += nextCodePoint(path, at);
    }
    return std::any_of(alternatives_.begin(), alternatives_.end(),
                       [&](const Chain& chain) { return run(chain, characters, tree); });
}

bool Glob::matches(std::string_view path) const {
    return anyRun(path, false);
}

bool Glob::matchesTree(std::string_view path) const {
    return anyRun(path, true);
}

}  // namespace gridbridge::payload
