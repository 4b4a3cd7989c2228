#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Secret.h"
#include "bridge/gitlab/PatternTree.h"

namespace gridbridge::gitlab {

/// Where in the text a masker stands between two calls; stored with the raw offset.
enum class MaskMode {
    Plain,      ///< Nothing that came before matters.
    InsideRun,  ///< The next byte overlaps a secret whose [MASKED] has already been given out.
    UrlValue,   ///< Inside the value of a URL parameter whose [MASKED] has been given out.
    TokenTail,  ///< The same behind the prefix of a token.
};
std::string_view nameOf(MaskMode mode);
/// Plain for a name that is none.
MaskMode maskModeNamed(std::string_view name);

struct MaskStep {
    std::string text;          ///< Final bytes: they never change, whatever comes next.
    std::size_t consumed = 0;  ///< Raw bytes decided. The rest must be the start of the next call.
    MaskMode mode = MaskMode::Plain;  ///< To be given to the next call.
};

/// Replaces by `[MASKED]` in a stream of bytes that arrives in pieces (protocol section 8):
/// every phrase; the values of the URL parameters that carry GitLab's and S3's secrets; what
/// follows the prefix of a GitLab token. Every byte of them is hidden, also where they overlap: a
/// chain of overlapping ones becomes one `[MASKED]`, touching ones become one each.
///
/// Keeps no state between calls. Feeding a stream in any pieces, each beginning at the first byte
/// not yet consumed and with the mode of the step before, gives the bytes that one call over the
/// whole stream gives; so a restarted service continues exactly. Held back is less than twice the
/// longest phrase, prefix or parameter, unless a phrase is itself made of prefixes or parameters.
/// Safe for concurrent use.
class Masker {
public:
    /// White space around a phrase does not count; empty phrases are ignored. `tokenPrefixes` are
    /// the server's (`features.token_mask_prefixes`), beside GitLab's own.
    explicit Masker(const std::vector<Secret>& phrases,
                    const std::vector<std::string>& tokenPrefixes = {});

    /// `end` says that nothing follows: then everything is consumed.
    MaskStep step(std::string_view raw, MaskMode mode, bool end) const;

private:
    PatternTree tree_;
};

/// The forms in which a job token turns up in output: itself, percent-encoded, and in the Basic
/// header that git makes of `gitlab-ci-token:<token>`.
std::vector<Secret> tokenForms(const Secret& token);

}  // namespace gridbridge::gitlab
