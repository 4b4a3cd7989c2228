#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gridbridge::gitlab {

/// Finds many texts in a stream of bytes in one pass (Aho and Corasick 1975). About 20 bytes per
/// byte of the texts, which share what they begin with. Safe for concurrent use.
class PatternTree {
public:
    struct Span {
        std::size_t begin = 0;
        std::size_t end = 0;
    };
    struct Found {
        std::vector<Span> phrases;   ///< For each end the longest one, by ascending end.
        std::vector<Span> prefixes;  ///< The same of the prefixes.
        /// Length of the longest tail with which one of them may begin, or which one of them is.
        std::size_t undecided = 0;
    };

    /// Two kinds of texts, reported apart. Empty ones are ignored.
    PatternTree(const std::vector<std::string_view>& phrases,
                const std::vector<std::string_view>& prefixes);

    Found scan(std::string_view raw) const;

private:
    struct Builder;
    struct Node {
        std::uint32_t firstChild = 0;  ///< Children have consecutive numbers.
        std::uint32_t fallback = 0;    ///< Longest proper suffix that is a node too.
        std::uint32_t depth = 0;
        std::uint32_t phrase = 0;  ///< Length of the longest phrase that ends here, or 0.
        std::uint32_t prefix = 0;  ///< The same of the prefixes.
        std::uint16_t children = 0;
        std::uint8_t byte = 0;
    };

    void linkFallbacks();
    void rememberBeginnings();
    std::uint32_t child(std::uint32_t node, unsigned char byte) const;
    std::uint32_t advance(std::uint32_t node, unsigned char byte) const;
    bool mayBegin(unsigned char first, unsigned char second) const {
        return beginnings_[(std::size_t{first} << 8U) | second];
    }

    std::vector<Node> nodes_;  ///< Breadth first; 0 is the root.
    std::array<std::uint32_t, 256> rootChildren_{};
    std::bitset<65536> beginnings_;  ///< Two bytes with which a text begins.
};

}  // namespace gridbridge::gitlab
