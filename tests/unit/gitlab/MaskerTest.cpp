#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "bridge/gitlab/Masker.h"
#include "tests/fakes/NaiveMasker.h"

namespace gridbridge::gitlab {
namespace {

std::vector<Secret> secrets(const std::vector<std::string>& texts) {
    std::vector<Secret> phrases;
    for (const auto& text : texts) {
        phrases.emplace_back(text);
    }
    return phrases;
}

struct Stream {
    std::string text;
    std::size_t mostHeldBack = 0;
};

/// Feeds `raw` in pieces of at most `largest` new bytes, as a log that grows is read.
Stream inPieces(const Masker& masker, const std::string& raw, std::size_t largest,
                std::mt19937& random) {
    Stream stream;
    std::size_t offset = 0;
    std::size_t known = 0;
    MaskMode mode = MaskMode::Plain;
    while (known < raw.size()) {
        known = std::min(raw.size(), known + 1 + random() % largest);
        const bool end = known == raw.size() && random() % 2 == 0;
        const auto step = masker.step(raw.substr(offset, known - offset), mode, end);
        stream.text += step.text;
        offset += step.consumed;
        mode = step.mode;
        stream.mostHeldBack = std::max(stream.mostHeldBack, known - offset);
    }
    stream.text += masker.step(raw.substr(offset), mode, true).text;
    return stream;
}

std::string masked(const std::vector<std::string>& phrases, const std::string& raw) {
    return Masker(secrets(phrases)).step(raw, MaskMode::Plain, true).text;
}

TEST(MaskerTest, HidesEveryOccurrenceAndNothingElse) {
    EXPECT_EQ(masked({"hunter2"}, "a hunter2 b hunter2hunter2"), "a [MASKED] b [MASKED][MASKED]");
}

TEST(MaskerTest, LongerPhraseWinsOverOneInsideIt) {
    EXPECT_EQ(masked({"secret", "topsecretkey"}, "topsecretkey secret"), "[MASKED] [MASKED]");
}

TEST(MaskerTest, OverlappingSecretsLeaveNoTail) {
    EXPECT_EQ(masked({"abcd", "cdef"}, "xabcdefx"), "x[MASKED]x");
}

TEST(MaskerTest, PhraseThatOverlapsItselfIsFoundAcrossASplit) {
    const Masker masker(secrets({"aab"}));

    const auto first = masker.step("aa", MaskMode::Plain, false);
    const auto second =
        masker.step(std::string("aa").substr(first.consumed) + "ab", first.mode, true);

    EXPECT_EQ(first.text + second.text, "a[MASKED]");
}

TEST(MaskerTest, WhiteSpaceAroundAPhraseDoesNotCountAndEmptyOnesAreIgnored) {
    EXPECT_EQ(masked({"  key\n", "", " \t"}, "a key b"), "a [MASKED] b");
}

TEST(MaskerTest, MultiLineSecretIsOnePhrase) {
    EXPECT_EQ(masked({"-----BEGIN\nMII-B\n-----END"}, "- x\n-----BEGIN\nMII-B\n-----END\n"),
              "- x\n[MASKED]\n");
}

TEST(MaskerTest, StartOfASecretAtTheEndOfTheLogIsText) {
    EXPECT_EQ(masked({"hunter2"}, "hunt"), "hunt");
}

TEST(MaskerTest, AnySplitGivesTheBytesOfOneCallAndHoldsLittleBack) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto text = [&random](std::size_t length) {
        std::string made;
        for (std::size_t i = 0; i < length; ++i) {
            made += static_cast<char>('a' + random() % 2);
        }
        return made;
    };

    for (int round = 0; round < 3000; ++round) {
        std::vector<std::string> phrases;
        std::size_t longest = 0;
        for (std::size_t i = 0; i < 1 + random() % 4; ++i) {
            phrases.push_back(text(1 + random() % 7));
            longest = std::max(longest, phrases.back().size());
        }
        const std::string raw = text(random() % 60);

        const auto stream = inPieces(Masker(secrets(phrases)), raw, 1 + random() % 9, random);

        ASSERT_EQ(stream.text, naivelyMasked(phrases, raw, kGitLabsTokenPrefixes))
            << "round " << round << " raw " << raw;
        ASSERT_LT(stream.mostHeldBack, 2 * longest) << "round " << round;
    }
}

TEST(MaskerTest, EndlessChainOfOverlapsIsHeldBackNoLongerThanTwoPhrases) {
    std::mt19937 random(7);

    const auto stream = inPieces(Masker(secrets({"aaaa"})), std::string(100000, 'a'), 64, random);

    EXPECT_EQ(stream.text, "[MASKED]");
    EXPECT_LT(stream.mostHeldBack, 8U);
}

TEST(MaskerTest, TokenIsHiddenBehindItsPrefix) {
    EXPECT_EQ(masked({}, "glpat-abc_123"), "glpat-[MASKED]");
    EXPECT_EQ(masked({}, "x=glrt-t1_a.b-c=, glcbt-64_Z!"), "x=glrt-[MASKED], glcbt-[MASKED]!");
    EXPECT_EQ(masked({}, "_gitlab_session=0123 glpat- GLPAT-abc"),
              "_gitlab_session=[MASKED] glpat- GLPAT-abc");
    EXPECT_EQ(masked({"glpat-abc"}, "glpat-abcdef"), "[MASKED]") << "one chain";
}

TEST(MaskerTest, ServersPrefixesCountToo) {
    const Masker masker({}, {" corp-", "", "glpat-"});

    EXPECT_EQ(masker.step("corp-1 glpat-2 crop-3", MaskMode::Plain, true).text,
              "corp-[MASKED] glpat-[MASKED] crop-3");
}

TEST(MaskerTest, ValueOfAUrlParameterIsHidden) {
    EXPECT_EQ(masked({}, "https://h/?private_token=abc&x=1"),
              "https://h/?private_token=[MASKED]&x=1");
    EXPECT_EQ(masked({}, "/f?a=1&X-Amz-Signature=0a%2F&X-AMZ-Credential=k/2\n"),
              "/f?a=1&X-Amz-Signature=[MASKED]&X-AMZ-Credential=[MASKED]\n");
    EXPECT_EQ(masked({}, "?rss_token=&private_token private_token=abc ?my_private_token=a"),
              "?rss_token=&private_token private_token=abc ?my_private_token=a");
    EXPECT_EQ(masked({}, "?authenticity_token=caf\xC3\xA9?"), "?authenticity_token=[MASKED]?");
}

TEST(MaskerTest, EndlessValueIsNotHeldBack) {
    std::mt19937 random(7);
    for (const std::string begin : {"?private_token=", "glpat-"}) {
        const auto stream =
            inPieces(Masker({}), begin + std::string(100000, 'a') + " end", 64, random);

        EXPECT_EQ(stream.text, begin + "[MASKED] end");
        EXPECT_LT(stream.mostHeldBack, 32U);
    }
}

TEST(MaskerTest, AnySplitOfTokensParametersAndPhrasesGivesTheBytesOfOneCall) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const std::vector<std::string> parts{"?",   "&",  "rss_token=", "RSS_Token=", "glpat-", "a",
                                         "ab",  " ",  "-",          "rss_",       "token=", "glp",
                                         "at-", "\n", "b",          "=",          "aab",    "&b-"};
    const auto text = [&](std::size_t length) {
        std::string made;
        for (std::size_t i = 0; i < length; ++i) {
            made += parts[random() % parts.size()];
        }
        return made;
    };
    const auto phrase = [&] {
        for (;;) {
            const auto made = text(1 + random() % 4);
            if (made.find_first_of(" \n") == std::string::npos) {
                return made;
            }
        }
    };

    for (int round = 0; round < 5000; ++round) {
        std::vector<std::string> phrases;
        for (std::size_t i = 0; i < random() % 4; ++i) {
            phrases.push_back(phrase());
        }
        const std::vector<std::string> prefixes{"glpat-", phrase()};
        const std::string raw = text(random() % 40);

        const auto stream =
            inPieces(Masker(secrets(phrases), prefixes), raw, 1 + random() % 9, random);

        ASSERT_EQ(stream.text, naivelyMasked(phrases, raw, prefixes))
            << "round " << round << " raw " << raw << " prefix " << prefixes.back();
    }
}

TEST(MaskerTest, ModesHaveNamesThatAreStored) {
    for (const auto mode :
         {MaskMode::Plain, MaskMode::InsideRun, MaskMode::UrlValue, MaskMode::TokenTail}) {
        EXPECT_EQ(maskModeNamed(nameOf(mode)), mode);
    }
    EXPECT_EQ(nameOf(MaskMode::UrlValue), "url_value");
    EXPECT_EQ(maskModeNamed("of a later version"), MaskMode::Plain);
}

TEST(MaskerTest, JobTokenIsHiddenRawPercentEncodedAndInABasicHeader) {
    const Masker masker(tokenForms(Secret("glcbt-64_a/b+c")));

    const auto text =
        masker
            .step(
                "glcbt-64_a/b+c|glcbt-64_a%2Fb%2Bc|Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X2EvYitj",
                MaskMode::Plain, true)
            .text;

    EXPECT_EQ(text, "[MASKED]|[MASKED]|Basic [MASKED]");
}

}  // namespace
}  // namespace gridbridge::gitlab
