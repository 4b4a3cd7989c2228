#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "tests/fakegitlab/Unpack.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;

/// A script really runs, and what it leaves for a report is packed as for an upload.
class ReportsTest : public ::testing::Test {
protected:
    Result<ArtifactContent> report(const std::string& format, const std::string& script,
                                   const std::vector<std::string>& paths) {
        auto job = jobWith({script});
        job.artifacts = {archiveOf(paths)};
        job.artifacts[0].name = "junit.xml";
        job.artifacts[0].type = "junit";
        job.artifacts[0].format = format;
        ScriptRun run(job);
        run.run();
        EXPECT_EQ(run.status().outcome, "success") << run.log();
        const Fd tar(::open((run.folder() / "out/artifact.0.tar.gz").c_str(), O_RDONLY));
        const auto tarball = [&] {
            return Pieces([&tar, at = off_t{0}]() mutable -> Result<std::string> {
                std::string piece(1000, '\0');
                const auto got = ::pread(tar.get(), piece.data(), piece.size(), at);
                piece.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
                at += static_cast<off_t>(piece.size());
                return piece;
            });
        };
        auto content = surveyArtifact(job, 0, {}, tarball());
        if (content) {
            for (auto* bytes : {&first, &second}) {
                const auto packed =
                    packArtifact(job, 0, {}, tarball(), [&](std::string_view piece) {
                        *bytes += piece;
                        return true;
                    });
                EXPECT_TRUE(packed) << packed.error().message;
            }
        }
        return content;
    }

    std::string first;
    std::string second;  ///< Of another try.
};

TEST_F(ReportsTest, EachFileIsAMemberOfOneGzipStreamInTheOrderOfTheirPaths) {
    const auto content =
        report("gzip",
               "mkdir -p b a; echo one >b/TEST-1.xml; echo two >a/TEST-2.xml; echo $'\\xc3\\xa4%' "
               ">$'a/\\xc3\\xa4%.xml'; touch -d @1000000000 b/TEST-1.xml",
               {"b/*.xml", "a/*.xml"});

    ASSERT_TRUE(content) << content.error().message;
    EXPECT_EQ(content->entries, 3);
    EXPECT_EQ(content->filename, "junit.xml.gz");
    EXPECT_EQ(fakegitlab::gunzipped(first), "two\n\xc3\xa4%\none\n");
    EXPECT_EQ(first, second);
    using namespace std::string_literals;
    EXPECT_THAT(first, HasSubstr("TEST-2.xml\0a/TEST-2.xml\0"s)) << "name and comment";
    EXPECT_THAT(first, HasSubstr("\0e:a/%C3%A4%25.xml\0"s));
    // Flags 0x18 = name and comment; then the time, the lowest byte first.
    EXPECT_THAT(first, HasSubstr("\x1f\x8b\x08\x18\x00\xca\x9a\x3b"s));
}

TEST_F(ReportsTest, LargeReportArrivesWhole) {
    const auto content = report("gzip", "seq 300000 >big.txt; seq 10 >small.txt", {"*.txt"});

    ASSERT_TRUE(content) << content.error().message;
    const auto text = fakegitlab::gunzipped(first).value_or("");
    EXPECT_TRUE(text.starts_with("1\n2\n"));
    EXPECT_TRUE(text.ends_with("\n300000\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"));
    EXPECT_EQ(text.size(), 1988895U + 21U);
}

TEST_F(ReportsTest, OnlyFilesAreReports) {
    const auto folder = report("gzip", "mkdir -p out; touch out/x.xml", {"out"});
    ASSERT_FALSE(folder);
    EXPECT_EQ(folder.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(folder.error().message, "the \"out\" is not a regular file");

    const auto link = report("raw", "ln -s /etc/passwd report.json", {"report.json"});
    ASSERT_FALSE(link);
    EXPECT_EQ(link.error().message, "the \"report.json\" is not a regular file");
}

TEST_F(ReportsTest, RawReportIsTheBytesOfOneFile) {
    const auto one = report("raw", "printf '{\"a\": 1}' >gl.json", {"*.json"});
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(one->filename, "junit.xml");
    EXPECT_EQ(first, "{\"a\": 1}");

    const auto two = report("raw", "touch a.json b.json", {"*.json"});
    ASSERT_FALSE(two);
    EXPECT_EQ(two.error().kind, ErrorKind::Permanent);
    EXPECT_EQ(two.error().message, "only one file can be sent as raw");

    const auto none = report("raw", "true", {"*.json"});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->entries, 0);
    EXPECT_EQ(none->lines.back(), "ERROR: No files to upload");
}

}  // namespace
}  // namespace gridbridge::payload
