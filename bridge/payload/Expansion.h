#pragma once

#include <string>
#include <string_view>

namespace gridbridge::payload {

/// A text of `artifacts` that the shell of the node expands, where alone all variables are known.
struct NodeText {
    /// For the right side of an assignment in bash. Nothing in it is ever run as a command.
    std::string word;
    /// Something in the text looks like an expansion but is taken as it is.
    bool partlyLiteral = false;
};

bool hasReference(std::string_view text);

/// Expands `$N`, `${N}`, and `${N...}` with `:-`, `:=` (which sets nothing), `:+`, `:?` (an unset
/// variable leaves the text as it is), `#`, `##`, `%`, `%%`, `/` and `//`, whose operands are
/// literal but for references in `:-`, `:=` and `:+`, and `*` and `?` in patterns; and `${N:1:2}`
/// in digits. `\$` is a `$`. All else stays: `$(...)`, quotes and expansions in operands too. A
/// text with a NUL byte becomes empty.
NodeText nodeText(std::string_view text);

}  // namespace gridbridge::payload
