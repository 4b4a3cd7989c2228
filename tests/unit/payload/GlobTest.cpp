#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "bridge/payload/Glob.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {
namespace {

struct Case {
    std::string pattern;
    std::string path;
    bool fits;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> list = {
        {"a.txt", "a.txt", true},
        {"a.txt", "aXtxt", false},
        {"**/*.txt", "a.txt", true},
        {"**/*.txt", "x/y/a.txt", true},
        {"**/*.txt", "x/y/a.txtx", false},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/xb", false},
        {"a/**", "a", true},
        {"a/**", "a/x/y", true},
        {"a/**", "ab", false},
        {"**", "x/y", true},
        {"a/**/**", "a", true},
        {"**/**/b", "b", true},
        {"*", ".hidden", true},
        {"*", "a/b", false},
        {"abc**", "abcd", true},
        {"abc**", "abc/d", false},
        {"a**/b", "ax/b", true},
        {"a**/b", "ax/y/b", false},
        {"?.c", "x.c", true},
        {"?.c", "/.c", false},
        {"?.c", "\xc3\xa4.c", true},
        {"?.c", "\xff.c", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[^a-c]x", "dx", true},
        {"[!a-c]x", "ax", false},
        {"[!a]x", "/x", false},
        {"[+-9]x", "0x", true},
        {"[+-9]x", "/x", false},
        {"[/]x", "/x", false},
        {"[a\\]]x", "]x", true},
        {"[\xc3\xa4-\xc3\xb6]", "\xc3\xa5", true},
        {"[.]x", ".x", true},
        {"[.]x", "ax", false},
        {"{a,b}/*.log", "b/x.log", true},
        {"{a,b}/*.log", "c/x.log", false},
        {"{a,b{c,d}}", "bd", true},
        {"{a,b{c,d}}", "b", false},
        {"a{,/x}", "a", true},
        {"a{,/x}", "a/x", true},
        {"{a,**}/x", "p/q/x", true},
        {"{[,],b}", ",", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"\\{a\\}", "{a}", true},
        {"a}b", "a}b", true},
        {"a+(b)|c.^$", "a+(b)|c.^$", true},
        {"it's $(x)", "it's $(x)", true},
    };
    return list;
}

TEST(GlobTest, PatternsFitAsDoublestarSays) {
    for (const auto& [pattern, path, fits] : cases()) {
        const auto glob = Glob::parse(pattern);
        ASSERT_TRUE(glob) << pattern;
        EXPECT_EQ(glob->matches(path), fits) << pattern << " on " << path;
    }
}

/// Which of the cases bash finds fitting with the expressions that the node gets.
std::string bashVerdicts() {
    std::string script = "export LC_ALL=C\n";
    for (const auto& [pattern, path, fits] : cases()) {
        script += "r=" + shellQuoted("^" + Glob::parse(pattern)->expression() + "$") + "; [[ " +
                  shellQuoted(path) + " =~ $r ]]; printf %s $?\n";
    }
    const auto command = "bash -c " + shellQuoted(script);
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 1024> buffer{};
    const auto size = fread(buffer.data(), 1, buffer.size(), pipe);
    pclose(pipe);
    return {buffer.data(), size};
}

TEST(GlobTest, ExpressionOfTheNodeMissesNothingAndAgreesOnPlainPatterns) {
    const auto verdicts = bashVerdicts();

    ASSERT_EQ(verdicts.size(), cases().size()) << verdicts;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        const auto& [pattern, path, fits] = cases()[i];
        ASSERT_THAT(verdicts[i], ::testing::AnyOf('0', '1')) << pattern;
        // Classes other than of letters and digits are decided by the service alone.
        const bool exact = pattern.find('[') == std::string::npos;
        if (fits || exact) {
            EXPECT_EQ(verdicts[i] == '0', fits) << pattern << " on " << path;
        }
    }
}

TEST(GlobTest, FolderBringsInWhatItHolds) {
    const auto build = Glob::parse("build");
    ASSERT_TRUE(build);
    EXPECT_TRUE(build->matchesTree("build"));
    EXPECT_TRUE(build->matchesTree("build/x/.y"));
    EXPECT_FALSE(build->matchesTree("builds/x"));
    EXPECT_FALSE(build->matchesTree("x/build"));
    EXPECT_TRUE(Glob::parse("*.d")->matchesTree("a.d/b/c"));
    EXPECT_FALSE(Glob::parse("a/*/c")->matchesTree("a/b"));
}

TEST(GlobTest, MalformedPatternsAreNothing) {
    for (const auto* pattern : {"[", "[]a]", "[^]", "a[b", "{a", "{a,{b}", "a\\", "[a\\"}) {
        EXPECT_FALSE(Glob::parse(pattern)) << pattern;
    }
    EXPECT_FALSE(Glob::parse(std::string(4097, 'a')));
}

TEST(GlobTest, PatternsMadeToTakeForEverDoNot) {
    std::string braces;
    for (int i = 0; i < 100; ++i) {
        braces += "{a,b}";
    }
    EXPECT_FALSE(Glob::parse(braces));
    EXPECT_TRUE(Glob::parse(std::string(2000, '{') + std::string(2000, '}')));

    std::string stars;
    for (int i = 0; i < 200; ++i) {
        stars += "*a";
    }
    EXPECT_FALSE(Glob::parse(stars + "b")->matches(std::string(4000, 'a')));
}

TEST(GlobTest, FolderIsThePartBeforeTheFirstSpecialComponent) {
    EXPECT_EQ(Glob::parse("a/b/c*")->folder(), "a/b/");
    EXPECT_EQ(Glob::parse("*.c")->folder(), "");
    EXPECT_EQ(Glob::parse("a/b")->path(), "a/b");
    EXPECT_EQ(Glob::parse("a/b?")->path(), std::nullopt);
}

}  // namespace
}  // namespace gridbridge::payload
