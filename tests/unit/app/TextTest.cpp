#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "bridge/app/Text.h"
#include "bridge/base/Utf8.h"

namespace gridbridge::app {
namespace {

TEST(Text, PrintableShowsWhatATerminalWouldObey) {
    EXPECT_EQ(printable("plain äöü 日本 😀"), "plain äöü 日本 😀");
    EXPECT_EQ(printable("a\nb\tc\x1b[2J\x7f"), "a\\x0ab\\x09c\\x1b[2J\\x7f");
    EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");                    // CSI as one character
    EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");           // right to left from here
    EXPECT_EQ(printable("\xe2\x81\xa6"), "\\xe2\\x81\\xa6");           // left to right from here
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");                    // not UTF-8
    EXPECT_EQ(printable("\xc0\x8a"), "\\xc0\\x8a");                    // overlong line feed
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
}

TEST(Text, ValidUtf8ReplacesOnlyWhatIsNot) {
    EXPECT_EQ(validUtf8("ä\n😀"), "ä\n😀");
    EXPECT_EQ(validUtf8("a\xff\xc3z"), "a\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(Text, TimesAreIso) {
    const WallTime time = fromEpoch(Millis(1767225600007));
    EXPECT_EQ(utcTime(time), "2026-01-01T00:00:00.007Z");
    ::setenv("TZ", "XXX-05:30", 1);
    ::tzset();
    EXPECT_EQ(localTime(time), "2026-01-01T05:30:00+05:30");
    EXPECT_EQ(localTimeMillis(time), "2026-01-01T05:30:00.007+05:30");
    ::setenv("TZ", "XXX03:30", 1);
    ::tzset();
    EXPECT_EQ(localTime(time), "2025-12-31T20:30:00-03:30");
    ::unsetenv("TZ");
    ::tzset();
}

TEST(Text, ATableIsAlignedByCharacters) {
    EXPECT_EQ(alignedTable({{"JOB", "NAME", "X"}, {"1", "äöü", "y"}, {"12345", "", "z"}}),
              "JOB    NAME  X\n"
              "1      äöü   y\n"
              "12345        z\n");
}

TEST(Text, ATableCutsLongCellsButNotTheLast) {
    const std::string longName(60, 'n');
    EXPECT_EQ(alignedTable({{longName, longName}}), std::string(47, 'n') + "…  " + longName + "\n");
}

TEST(Text, ATableStaysOneWhateverItsCellsHold) {
    EXPECT_EQ(alignedTable({{"a\nb", "\x1b[31m"}}), "a\\x0ab  \\x1b[31m\n");
}

TEST(Text, NearestKnowsSlipsOfTheFinger) {
    const std::vector<std::string_view> known{"concurrent", "check_interval", "url"};
    EXPECT_EQ(nearest("concurent", known), "concurrent");
    EXPECT_EQ(nearest("check-intervall", known), "check_interval");
    EXPECT_EQ(nearest("ulr", known), "url");
    EXPECT_EQ(nearest("retention", known), "");
    EXPECT_EQ(nearest("", known), "");
    EXPECT_EQ(nearest(std::string(100000, 'x'), known), "");
}

}  // namespace
}  // namespace gridbridge::app
