#include "bridge/gitlab/PatternTree.h"

#include <algorithm>
#include <map>

namespace gridbridge::gitlab {

/// The tree while texts are put into it.
struct PatternTree::Builder {
    struct Branch {
        std::map<unsigned char, std::uint32_t> children;
        std::uint32_t depth = 0;
        bool phrase = false;
        bool prefix = false;
    };
    std::vector<Branch> branches{1};

    Branch& insert(std::string_view text) {
        std::uint32_t at = 0;
        for (const char c : text) {
            const auto next = static_cast<std::uint32_t>(branches.size());
            const auto [edge, made] =
                branches[at].children.try_emplace(static_cast<unsigned char>(c), next);
            const auto depth = branches[at].depth + 1;
            at = edge->second;
            if (made) {
                branches.push_back({{}, depth, false, false});
            }
        }
        return branches[at];
    }

    /// Breadth first, so that children are neighbours and a fallback stands before its node.
    std::vector<Node> flattened() const {
        std::vector<Node> nodes{1};
        std::vector<std::uint32_t> order{0};
        for (std::size_t i = 0; i < order.size(); ++i) {
            const auto& branch = branches[order[i]];
            nodes[i].firstChild = static_cast<std::uint32_t>(order.size());
            nodes[i].children = static_cast<std::uint16_t>(branch.children.size());
            nodes[i].depth = branch.depth;
            nodes[i].phrase = branch.phrase ? branch.depth : 0;
            nodes[i].prefix = branch.prefix ? branch.depth : 0;
            for (const auto& [byte, child] : branch.children) {
                order.push_back(child);
                nodes.emplace_back().byte = byte;
            }
        }
        return nodes;
    }
};

PatternTree::PatternTree(const std::vector<std::string_view>& phrases,
                         const std::vector<std::string_view>& prefixes) {
    Builder builder;
    for (const auto phrase : phrases) {
        builder.insert(phrase).phrase = !phrase.empty();
    }
    for (const auto prefix : prefixes) {
        builder.insert(prefix).prefix = !prefix.empty();
    }
    nodes_ = builder.flattened();
    nodes_.shrink_to_fit();
    rememberBeginnings();
    linkFallbacks();
}

void PatternTree::rememberBeginnings() {
    for (std::uint32_t i = 0; i < nodes_[0].children; ++i) {
        const auto number = nodes_[0].firstChild + i;
        const auto& first = nodes_[number];
        rootChildren_.at(first.byte) = number;
        const auto row = std::size_t{first.byte} << 8U;
        for (std::uint32_t j = 0; j < first.children; ++j) {
            beginnings_.set(row | nodes_[first.firstChild + j].byte);
        }
        for (std::size_t any = 0; first.phrase + first.prefix > 0 && any < 256; ++any) {
            beginnings_.set(row | any);
        }
    }
}

void PatternTree::linkFallbacks() {
    for (std::uint32_t parent = 0; parent < nodes_.size(); ++parent) {
        const auto& above = nodes_[parent];
        for (std::uint32_t i = 0; i < above.children; ++i) {
            auto& node = nodes_[above.firstChild + i];
            node.fallback = parent == 0 ? 0 : advance(above.fallback, node.byte);
            const auto& shorter = nodes_[node.fallback];
            node.phrase = std::max(node.phrase, shorter.phrase);
            node.prefix = std::max(node.prefix, shorter.prefix);
        }
    }
}

std::uint32_t PatternTree::child(std::uint32_t node, unsigned char byte) const {
    if (node == 0) {
        return rootChildren_[byte];
    }
    const auto& parent = nodes_[node];
    for (std::uint32_t i = 0; i < parent.children; ++i) {
        if (nodes_[parent.firstChild + i].byte == byte) {
            return parent.firstChild + i;
        }
    }
    return 0;
}

std::uint32_t PatternTree::advance(std::uint32_t node, unsigned char byte) const {
    std::uint32_t next = child(node, byte);
    while (next == 0 && node != 0) {
        node = nodes_[node].fallback;
        next = child(node, byte);
    }
    return next;
}

PatternTree::Found PatternTree::scan(std::string_view raw) const {
    Found found;
    const auto byte = [raw](std::size_t i) { return static_cast<unsigned char>(raw[i]); };
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        while (node == 0 && i + 1 < raw.size() && !mayBegin(byte(i), byte(i + 1))) {
            ++i;
        }
        node = advance(node, byte(i));
        const auto& here = nodes_[node];
        if (here.phrase > 0) {
            found.phrases.push_back({i + 1 - here.phrase, i + 1});
        }
        if (here.prefix > 0) {
            found.prefixes.push_back({i + 1 - here.prefix, i + 1});
        }
    }
    found.undecided = nodes_[node].depth;
    return found;
}

}  // namespace gridbridge::gitlab
