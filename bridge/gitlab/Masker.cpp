#include "bridge/gitlab/Masker.h"

#include <Poco/Base64Encoder.h>
#include <Poco/URI.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace gridbridge::gitlab {

namespace {

constexpr std::string_view kMasked = "[MASKED]";
constexpr std::string_view kBlank = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

constexpr std::uint64_t edge(std::uint32_t node, unsigned char byte) {
    return (std::uint64_t{node} << 8U) | byte;
}

}  // namespace

struct Masker::Scan {
    std::vector<Span> matches;  ///< For each end the longest match there, by ascending end.
    std::vector<Span> runs;     ///< Chains of overlapping matches, ascending and disjoint.
    std::size_t undecided = 0;  ///< Length of the tail with which a later match may begin.
};

Masker::Masker(const std::vector<Secret>& phrases) {
    for (const auto& phrase : phrases) {
        if (const auto text = trimmed(phrase.reveal()); !text.empty()) {
            insert(text);
        }
    }
    linkFallbacks();
}

void Masker::insert(std::string_view phrase) {
    std::uint32_t node = 0;
    for (const char c : phrase) {
        const auto byte = static_cast<unsigned char>(c);
        std::uint32_t next = child(node, byte);
        if (next == 0) {
            next = static_cast<std::uint32_t>(nodes_.size());
            nodes_.push_back({0, nodes_[node].depth + 1, 0});
            if (node == 0) {
                rootChildren_.at(byte) = next;
            }
            children_.emplace(edge(node, byte), next);
        }
        node = next;
    }
    nodes_[node].longestMatch = nodes_[node].depth;
}

void Masker::linkFallbacks() {
    // A parent always has a smaller number than its children, but fallbacks need breadth first:
    // the fallback of a node is less deep than the node.
    std::vector<std::pair<std::uint64_t, std::uint32_t>> edges(children_.begin(), children_.end());
    std::sort(edges.begin(), edges.end(), [this](const auto& a, const auto& b) {
        return nodes_[a.second].depth < nodes_[b.second].depth;
    });
    for (const auto& [key, node] : edges) {
        const auto parent = static_cast<std::uint32_t>(key >> 8U);
        const auto byte = static_cast<unsigned char>(key & 0xFFU);
        if (parent != 0) {
            nodes_[node].fallback = advance(nodes_[parent].fallback, byte);
        }
        const Node& shorter = nodes_[nodes_[node].fallback];
        nodes_[node].longestMatch = std::max(nodes_[node].longestMatch, shorter.longestMatch);
    }
}

std::uint32_t Masker::child(std::uint32_t node, unsigned char byte) const {
    if (node == 0) {
        return rootChildren_.at(byte);
    }
    const auto found = children_.find(edge(node, byte));
    return found == children_.end() ? 0 : found->second;
}

std::uint32_t Masker::advance(std::uint32_t node, unsigned char byte) const {
    std::uint32_t next = child(node, byte);
    while (next == 0 && node != 0) {
        node = nodes_[node].fallback;
        next = child(node, byte);
    }
    return next;
}

Masker::Scan Masker::scan(std::string_view raw) const {
    Scan seen;
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        node = advance(node, static_cast<unsigned char>(raw[i]));
        const std::size_t length = nodes_[node].longestMatch;
        if (length == 0) {
            continue;
        }
        Span run{i + 1 - length, i + 1};
        seen.matches.push_back(run);
        while (!seen.runs.empty() && run.begin < seen.runs.back().end) {
            run.begin = std::min(run.begin, seen.runs.back().begin);
            seen.runs.pop_back();
        }
        seen.runs.push_back(run);
    }
    seen.undecided = nodes_[node].depth;
    return seen;
}

MaskStep Masker::step(std::string_view raw, MaskMode mode, bool end) const {
    const Scan seen = scan(raw);
    const std::size_t decided = end ? raw.size() : raw.size() - seen.undecided;
    MaskStep result{{}, decided, MaskMode::Plain};

    const auto open = std::find_if(seen.runs.begin(), seen.runs.end(), [&](const Span& run) {
        return run.begin < decided && decided < run.end;
    });
    if (open != seen.runs.end()) {
        // Continue at a match that reaches at least as far as all that begin before it: those
        // that begin at it or later are found again, and the others lie within it.
        Span furthest{open->begin, 0};
        for (const auto& match : seen.matches) {
            if (match.begin <= decided && match.end > furthest.end) {
                furthest = match;
            }
        }
        result.consumed = furthest.begin;
        result.mode = furthest.begin > open->begin ? MaskMode::InsideRun
                      : open->begin == 0           ? mode
                                                   : MaskMode::Plain;
    } else if (decided == 0 && !end) {
        result.mode = mode;
    }

    std::size_t at = 0;
    for (const auto& run : seen.runs) {
        if (run.begin >= result.consumed) {
            break;
        }
        result.text.append(raw.substr(at, run.begin - at));
        if (run.begin != 0 || mode != MaskMode::InsideRun) {
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
