#include <algorithm>
#include <string>
#include <vector>

#include "bridge/gitlab/Masker.h"
#include "tests/fakes/NaiveMasker.h"
#include "tests/fuzz/Fuzz.h"

// Input: the sizes of the pieces, the phrases, nothing, and the log, between bars:
// `c,a|secret|other||text`.

namespace gridbridge::fuzz {

namespace {

std::string trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n\v\f";
    const auto first = std::min(text.find_first_not_of(kBlank), text.size());
    text.remove_prefix(first);
    return std::string(text.substr(0, text.find_last_not_of(kBlank) + 1));
}

std::string inPieces(const gitlab::Masker& masker, std::string_view raw, std::string_view sizes) {
    std::string text;
    std::size_t offset = 0;
    auto mode = gitlab::MaskMode::Plain;
    std::size_t known = 0;
    for (std::size_t piece = 0; known < raw.size(); ++piece) {
        const auto size = static_cast<unsigned char>(sizes[piece % sizes.size()]);
        known = std::min(raw.size(), known + 1 + size % 16U);
        const auto step = masker.step(raw.substr(offset, known - offset), mode, false);
        text += step.text;
        offset += step.consumed;
        mode = step.mode;
    }
    return text + masker.step(raw.substr(offset), mode, true).text;
}

}  // namespace

void tryWith(std::string_view input) {
    constexpr std::size_t kMostPhrases = 8;
    const auto sizes = take(input, '|');
    std::vector<std::string> phrases;
    std::vector<Secret> secrets;
    for (auto phrase = take(input, '|'); !phrase.empty() && phrases.size() < kMostPhrases;
         phrase = take(input, '|')) {
        secrets.emplace_back(std::string(phrase));
        phrases.push_back(trimmed(phrase));
    }
    const gitlab::Masker masker(secrets);

    const auto expected = naivelyMasked(phrases, std::string(input), kGitLabsTokenPrefixes);

    require(masker.step(input, gitlab::MaskMode::Plain, true).text == expected,
            "in one call the log is masked as in the plainest way");
    require(sizes.empty() || inPieces(masker, input, sizes) == expected,
            "in any pieces the log is masked as in one call");
}

}  // namespace gridbridge::fuzz
