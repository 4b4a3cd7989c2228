#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bridge/base/Secret.h"

namespace gridbridge::gitlab {

/// Where in the text a masker stands between two calls; stored with the raw offset.
enum class MaskMode {
    Plain,     ///< Nothing that came before matters.
    InsideRun  ///< The next byte overlaps a secret whose [MASKED] has already been given out.
};

struct MaskStep {
    std::string text;          ///< Final bytes: they never change, whatever comes next.
    std::size_t consumed = 0;  ///< Raw bytes decided. The rest must be the start of the next call.
    MaskMode mode = MaskMode::Plain;  ///< To be given to the next call.
};

/// Replaces secrets by `[MASKED]` in a stream of bytes that arrives in pieces. Every byte of every
/// occurrence of every phrase is hidden, also where occurrences overlap: a chain of overlapping
/// occurrences becomes one `[MASKED]`, touching ones become one each.
///
/// Keeps no state between calls. Feeding a stream in any pieces, each beginning at the first byte
/// not yet consumed and with the mode of the step before, gives the bytes that one call over the
/// whole stream gives; so a restarted service continues exactly. Less than twice the longest
/// phrase is held back at any time. Safe for concurrent use.
class Masker {
public:
    /// White space around a phrase does not count; empty phrases are ignored
    /// (GitLab runner protocol, masking).
    explicit Masker(const std::vector<Secret>& phrases);

    /// `end` says that nothing follows: then everything is consumed.
    MaskStep step(std::string_view raw, MaskMode mode, bool end) const;

private:
    struct Node {
        std::uint32_t fallback = 0;  ///< Longest proper suffix that is a node too.
        std::uint32_t depth = 0;
        std::uint32_t longestMatch = 0;  ///< Length of the longest phrase ending here, or 0.
    };
    struct Span {
        std::size_t begin;
        std::size_t end;
    };
    struct Scan;

    void insert(std::string_view phrase);
    void linkFallbacks();
    std::uint32_t child(std::uint32_t node, unsigned char byte) const;
    std::uint32_t advance(std::uint32_t node, unsigned char byte) const;
    Scan scan(std::string_view raw) const;

    std::vector<Node> nodes_{1};
    std::array<std::uint32_t, 256> rootChildren_{};
    std::unordered_map<std::uint64_t, std::uint32_t> children_;
};

/// The forms in which a job token turns up in output: itself, percent-encoded, and in the Basic
/// header that git makes of `gitlab-ci-token:<token>`.
std::vector<Secret> tokenForms(const Secret& token);

}  // namespace gridbridge::gitlab
