#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gridbridge::payload {

/// A pattern for paths as GitLab's documents define it (doublestar v4; job-execution 6.3).
/// Works on code points; a byte that is no UTF-8 counts as one. Time grows with the product of
/// the two lengths, alternatives written out, whatever the pattern. Safe for concurrent use.
class Glob {
public:
    /// Nothing when the pattern is malformed, longer than 4096 bytes, or than 16 KiB or
    /// 256 alternatives when they are written out.
    static std::optional<Glob> parse(std::string_view pattern);

    /// Whether exactly this path fits; relative, without `./`.
    bool matches(std::string_view path) const;
    /// Whether the path, or a folder above it, fits.
    bool matchesTree(std::string_view path) const;

    /// A POSIX extended regular expression, to be anchored, for the C locale: fits whatever
    /// `matches` does, and little more (where a character has several bytes).
    const std::string& expression() const { return expression_; }
    /// Whether `expression` fits nothing but what `matches` does.
    bool exact() const { return exact_; }
    /// As `expression`, in the same locale, but for whatever `matches` does among names in UTF-8
    /// and nothing more: bytes from 0x80 on may stand in it. Empty = there is none.
    const std::string& exactExpression() const { return exactExpression_; }
    /// The path that the pattern is, when nothing in it is special.
    const std::optional<std::string>& path() const { return path_; }
    /// The part of the pattern before its first special component, with its `/`; may be empty.
    const std::string& folder() const { return folder_; }

private:
    struct Range {
        char32_t low;
        char32_t high;
    };
    enum class Kind {
        One,   ///< A character that fits.
        Many,  ///< Any number of characters that fit.
        Fork,  ///< Goes on here, or `skip` states further.
    };
    struct State {
        Kind kind = Kind::One;
        std::vector<Range> ranges = {};
        bool negated = false;
        bool neverSlash = false;  ///< Although it may be in the ranges.
        std::size_t skip = 0;
        bool slashEndsIt = false;  ///< For Many: only a `/` leads on.
    };
    using Chain = std::vector<State>;
    class Compiler;

    Glob() = default;
    static bool fits(const State& state, char32_t c);
    static void enter(const Chain& chain, std::vector<bool>& active, std::size_t at);
    static bool run(const Chain& chain, const std::u32string& path, bool tree);
    bool anyRun(std::string_view path, bool tree) const;

    std::vector<Chain> alternatives_;
    std::string expression_;
    bool exact_ = true;
    std::string exactExpression_;
    std::string folder_;
    std::optional<std::string> path_;
};

}  // namespace gridbridge::payload
