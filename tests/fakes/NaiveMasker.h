#pragma once

#include <algorithm>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace gridbridge {

/// Prefixes behind which a token follows (protocol section 8).
inline const std::vector<std::string> kGitLabsTokenPrefixes{
    "glpat-", "gloas-", "gldt-",    "glrt-",   "glcbt-",  "glrtr-",           "glptt-",
    "glft-",  "glimt-", "glagent-", "glsoat-", "glffct-", "_gitlab_session=", "gltok-"};

/// Says the same as gitlab::Masker in the plainest way: mark every hidden byte, then write.
inline std::string naivelyMasked(const std::vector<std::string>& phrases, const std::string& raw,
                                 const std::vector<std::string>& prefixes) {
    static const std::regex kParameter(
        "[?&](private_token|authenticity_token|rss_token|x-amz-signature|"
        "x-amz-credential|x-amz-security-token)=",
        std::regex::icase);
    std::vector<std::pair<std::size_t, std::size_t>> found;
    const auto hide = [&found](std::size_t begin, std::size_t end) {
        if (begin < end) {
            found.emplace_back(begin, end);
        }
    };
    for (const auto& phrase : phrases) {
        for (auto at = raw.find(phrase); at < raw.size(); at = raw.find(phrase, at + 1)) {
            hide(at, at + phrase.size());
        }
    }
    for (const auto& prefix : prefixes) {
        for (auto at = raw.find(prefix); at != std::string::npos; at = raw.find(prefix, at + 1)) {
            const auto begin = at + prefix.size();
            hide(begin, std::min(raw.size(), raw.find_first_not_of("abcdefghijklmnopqrstuvwxyz"
                                                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                                   "0123456789_.=-",
                                                                   begin)));
        }
    }
    // A value ends at a blank, a control character, or the next parameter.
    const auto outside = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= ' ' || byte == 0x7f || c == '?' || c == '&';
    };
    for (std::sregex_iterator at(raw.begin(), raw.end(), kParameter), none; at != none; ++at) {
        const auto begin = at->position() + at->length();
        hide(static_cast<std::size_t>(begin),
             static_cast<std::size_t>(std::find_if(raw.begin() + begin, raw.end(), outside) -
                                      raw.begin()));
    }
    std::sort(found.begin(), found.end());
    std::string text;
    std::size_t at = 0;
    for (std::size_t i = 0; i < found.size();) {
        auto [begin, end] = found[i];
        for (++i; i < found.size() && found[i].first < end; ++i) {
            end = std::max(end, found[i].second);
        }
        text += raw.substr(at, begin - at) + "[MASKED]";
        at = end;
    }
    return text + raw.substr(at);
}

}  // namespace gridbridge
