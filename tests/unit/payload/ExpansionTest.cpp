#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "bridge/payload/Expansion.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {
namespace {

std::string inBash(const std::string& script) {
    FILE* pipe = popen(("bash -c " + shellQuoted(script)).c_str(), "r");
    std::string text(4096, '\0');
    text.resize(fread(text.data(), 1, text.size(), pipe));
    pclose(pipe);
    return text;
}

/// As a node makes it of the text.
std::string expandedInBash(const std::string& text) {
    return inBash("unset U; E= S=a/b.tar.gz V='*  ~' B='$(echo x)`echo x`'\nt[0]=" +
                  nodeText(text).word + "\nprintf '%s' \"${t[0]}\"");
}

TEST(ExpansionTest, ReferencesAreExpandedAsAShellDoes) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"$S", "a/b.tar.gz"},
        {"x${S}y$U-$E.", "xa/b.tar.gzy-."},
        {"$S_$S", "a/b.tar.gz"},
        {"${U:-a b}${S:-x}${E:-}", "a ba/b.tar.gz"},
        {"${U:=d}$U", "d"},
        {"${S:+yes}${U:+no}", "yes"},
        {"${S:?must be there}", "a/b.tar.gz"},
        {"${U:?it's \"missing\"}", "${U:?it's \"missing\"}"},
        {"${S#a/}|${S#b}|${S#*.}", "b.tar.gz|a/b.tar.gz|tar.gz"},
        {"${S##*/}|${S##*.}", "b.tar.gz|gz"},
        {"${S%.gz}|${S%.*}|${S%?z}", "a/b.tar|a/b.tar|a/b.tar."},
        {"${S%%.*}", "a/b"},
        {"${S/./_}|${S/x/y}|${S/.*}", "a/b_tar.gz|a/b.tar.gz|a/b"},
        {"${S//./-}|${S//\\//-}|${S//.}|${S/tar/&}", "a/b-tar-gz|a-b.tar.gz|a/btargz|a/b.&.gz"},
        {"${U:-\\}}", "}"},
        {"${U:-$S}|${U:-x${U:-${S}}y}|${S:+$U.$S}|${E:-$E}",
         "a/b.tar.gz|xa/b.tar.gzy|.a/b.tar.gz|"},
        {"${U:-$V}|${U:-$B}", "*  ~|$(echo x)`echo x`"},
        {"${S:2}|${S:0:3}|${S:99}", "b.tar.gz|a/b|"},
        {"$V ~ *", "*  ~ ~ *"},
        {"$B", "$(echo x)`echo x`"},
        {"\\$S costs $", "$S costs $"},
        {"it's 'q' \"$S\"\n", "it's 'q' \"a/b.tar.gz\"\n"},
        {std::string("a\0$S", 4), ""},
    };
    for (const auto& [text, result] : cases) {
        EXPECT_EQ(expandedInBash(text), result) << text;
        EXPECT_FALSE(nodeText(text).partlyLiteral) << text;
    }
}

TEST(ExpansionTest, WhatIsNoPlainExpansionStaysAsItIsAndIsSaid) {
    for (const std::string text : {"$(echo x)",
                                   "`echo x`$E",
                                   "${U:-$(echo x)}",
                                   "${U:-`echo x`}",
                                   "${U:-$(id)$S}",
                                   "${U:-${S^^}}",
                                   "${U:-$S'}",
                                   "${S/$(id)/}",
                                   "$((1+1))",
                                   "$[1+1]",
                                   "${!S}",
                                   "${S@P}",
                                   "${#S}",
                                   "${S: -1}",
                                   "${S:1:-1}",
                                   "${S:1:$S}",
                                   "${S:$(id)}",
                                   "${S[0]}",
                                   "${S^^}",
                                   "${U-x}",
                                   "$1",
                                   "$$",
                                   "$@",
                                   "${}",
                                   "${",
                                   "${S",
                                   "${S#[ab]}",
                                   "${S/#a/b}",
                                   "${S///x}",
                                   "${S:-'}",
                                   "$'a'",
                                   "$\"a\"",
                                   "${S:-a\\",
                                   "$;echo x",
                                   "$\necho x"}) {
        EXPECT_EQ(expandedInBash("'" + text), "'" + (text == "`echo x`$E" ? "`echo x`" : text));
        EXPECT_TRUE(nodeText(text).partlyLiteral) << text;
    }
}

}  // namespace
}  // namespace gridbridge::payload
