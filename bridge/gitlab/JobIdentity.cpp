#include <charconv>

#include "bridge/gitlab/JobDescription.h"

namespace gridbridge::gitlab {

namespace {

constexpr std::size_t kLongestToken = std::size_t{64} << 10U;

/// Reads the top level of a JSON object and stops at the first thing it cannot follow. A parser
/// of whole texts is of no use here: the text may be cut anywhere.
class TopLevel {
public:
    explicit TopLevel(std::string_view text) : rest_(text) {}

    std::optional<JobIdentity> find() {
        std::int64_t id = 0;
        std::string token;
        if (take('{')) {
            while (member(id, token) && take(',')) {
            }
        }
        if (id <= 0 || token.empty() || token.size() > kLongestToken) {
            return std::nullopt;
        }
        return JobIdentity{.id = id, .token = Secret(std::move(token))};
    }

private:
    void skipBlanks() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    }
    bool take(char wanted) {
        skipBlanks();
        if (!rest_.starts_with(wanted)) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    bool member(std::int64_t& id, std::string& token) {
        const auto key = text();
        if (!key || !take(':')) {
            return false;
        }
        skipBlanks();
        if (*key == "id") {
            return number(id);
        }
        if (*key == "token") {
            auto value = text();
            token = value.value_or("");
            return value.has_value();
        }
        return skipValue();
    }

    /// A number counts only when something follows it: digits may be cut off.
    bool number(std::int64_t& value) {
        std::int64_t read = 0;
        const auto* end = rest_.data() + rest_.size();
        const auto [stop, error] = std::from_chars(rest_.data(), end, read);
        if (error != std::errc{} || stop == end ||
            std::string_view(",} \t\r\n").find(*stop) == std::string_view::npos) {
            return false;
        }
        value = read;
        rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
        return true;
    }

    /// Names and tokens are plain text: an escape other than of one character gives nothing.
    std::optional<std::string> text() {
        if (!take('"')) {
            return std::nullopt;
        }
        std::string result;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') {
                return result;
            }
            if (c != '\\') {
                result += c;
            } else if (rest_.starts_with('"') || rest_.starts_with('\\') ||
                       rest_.starts_with('/')) {
                result += rest_.front();
                rest_.remove_prefix(1);
            } else {
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

    bool skipText() {
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '\\') {
                ++i;
            } else if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                return true;
            }
        }
        return false;
    }

    bool skipValue() {
        int depth = 0;
        while (!rest_.empty()) {
            const char c = rest_.front();
            if (c == '"') {
                if (!skipText()) {
                    return false;
                }
                continue;
            }
            if (depth == 0 && (c == ',' || c == '}')) {
                return true;
            }
            depth += (c == '{' || c == '[') ? 1 : (c == '}' || c == ']') ? -1 : 0;
            rest_.remove_prefix(1);
        }
        return false;
    }

    std::string_view rest_;
};

}  // namespace

std::optional<JobIdentity> identityOf(std::string_view body) {
    return TopLevel(body).find();
}

}  // namespace gridbridge::gitlab
