// What a hostile job can put in place of the tarball of its artifacts.
#include "tests/unit/payload/ArtifactsTest.h"

namespace gridbridge::payload {
namespace {

using gridbridge::testing::gzip;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ArtifactsTest, HostileEntriesAreRefused) {
    const std::vector<std::vector<Item>> archives = {
        {{"../x", "1"}},
        {{"a/../../x", "1"}},
        {{"/etc/x", "1"}},
        {{"a//b", "1"}},
        {{std::string(4097, 'a'), "1"}},
        {{"a", "1"}, {"b", "", AE_IFREG, "a"}},
        {{"fifo", "", AE_IFIFO}},
        {{"device", "", AE_IFCHR}},
        {{"a/b/c", "1"}, {"a", "1"}},
        {{"b", "1"}, {"a", "2"}},
        {{"./a", "1"}, {"a", "2"}},
    };
    for (const auto& items : archives) {
        const auto packed = packItems(items);
        ASSERT_FALSE(packed) << items.back().name;
        EXPECT_EQ(packed.error().kind, ErrorKind::Permanent);
        EXPECT_THAT(packed.error().message, HasSubstr("refused"));
        EXPECT_FALSE(std::filesystem::exists(zip()));
    }
}

TEST_F(ArtifactsTest, NoFileGetsTheRightsOfItsOwner) {
    ASSERT_TRUE(packItems({{"a", "first"}}));

    EXPECT_EQ(unzipped(zip()).at("a").mode, S_IFREG | 0755U) << "setuid is left out";
}

TEST_F(ArtifactsTest, FilesTheScriptAddedToTheTarballAreLeftOut) {
    const auto tar = tarball({{"out/a", "1"}, {"secret", "2"}});
    ASSERT_TRUE(pack({"out"}, tar));
    EXPECT_THAT(names(), ElementsAre("out/a"));
}

TEST_F(ArtifactsTest, EndlessFilesAreRefusedBeforeTheyAreUnpacked) {
    const auto path = top_ / "in.tar.gz";
    // The size, in base 256, is 2^50.
    {
        std::ofstream(path, std::ios::binary)
            << gzip(tarHeader("big", {'\x80', 0, 0, 0, 0, '\x04'}));
    }
    const Fd tar(::open(path.c_str(), O_RDONLY));

    const auto packed = pack({"."}, tar);

    ASSERT_FALSE(packed);
    EXPECT_EQ(packed.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(packed.error().message, HasSubstr("larger than 10 GiB"));
}

TEST_F(ArtifactsTest, EndlessManyFilesAreRefusedThoughNoneIsWanted) {
    job_.artifacts = {archiveOf({"out"})};
    std::string thousand;
    for (int i = 0; i < 1000; ++i) {
        thousand += tarHeader("./", {});
    }
    const auto packed = gzip(thousand);
    int thousands = 0;
    const Pieces endless = [&]() -> Result<std::string> {
        ++thousands;
        return packed;
    };

    const auto content = surveyArtifact(job_, 0, {}, endless);

    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(content.error().message, HasSubstr("more than 1000000 files"));
    EXPECT_LE(thousands, 1010);
}

TEST_F(ArtifactsTest, DamagedArchivesAreRefused) {
    { const auto good = tarball({{"a", std::string(100000, 'x')}, {"b", "1"}}); }
    const auto path = top_ / "in.tar.gz";
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    const Fd cut(::open(path.c_str(), O_RDONLY));
    EXPECT_EQ(pack({"."}, cut).error().kind, ErrorKind::Permanent);
    { std::ofstream(path) << "this is no archive"; }
    const Fd text(::open(path.c_str(), O_RDONLY));
    EXPECT_EQ(pack({"."}, text).error().kind, ErrorKind::Permanent);
}

/// libarchive keeps what belongs to a header in memory: a map of holes, names, comments.
TEST_F(ArtifactsTest, EndlessHeadersAreRefusedBeforeTheyFillTheMemory) {
    std::string pax;
    for (const char* line : {"22 GNU.sparse.major=1\n", "22 GNU.sparse.minor=0\n",
                             "25 GNU.sparse.realsize=1\n", "21 GNU.sparse.name=a\n"}) {
        pax += line;
    }
    std::string size(12, '\0');
    std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(pax.size()));
    const auto holes = [] {
        std::string map = "100000000\n";
        for (int i = 0; i < 30000; ++i) {
            map += "0\n0\n";
        }
        return map;
    }();
    const auto start = gzip(tarHeader("pax", size, 'x') + pax +
                            std::string(512 - pax.size(), '\0') + tarHeader("a", "77777777777"));
    const auto more = gzip(holes);
    for (const auto& endless : {more, gzip(std::string(100000, '\0'))}) {
        job_.artifacts = {archiveOf({"."})};
        int pieces = 0;
        const auto content = surveyArtifact(
            job_, 0, {}, [&]() -> Result<std::string> { return ++pieces == 1 ? start : endless; });

        ASSERT_FALSE(content);
        EXPECT_EQ(content.error().kind, ErrorKind::Permanent);
        EXPECT_LE(pieces, 50);
    }
}

TEST_F(ArtifactsTest, WhatLiesBelowALinkIsNeverPacked) {
    const auto packed = packItems(
        {{"a", "", AE_IFLNK, "/etc"}, {"a.txt", "1"}, {"a/x", "1"}, {"a/y/z", "1"}, {"b", "1"}});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("a", "a.txt", "b"));
    EXPECT_THAT(packed->lines.back(), HasSubstr("2 files are left out: they lie below a link"));
}

/// What was surveyed may be another tarball when it is packed.
TEST_F(ArtifactsTest, WhatIsPackedIsLookedAtAsIfItWereNew) {
    const auto tar = tarball({{"a", "1"}, {"b", "2"}});
    job_.artifacts = {archiveOf({"."})};
    job_.artifacts[0].format = "raw";
    std::string bytes;
    const auto packed = packArtifact(job_, 0, {}, piecesOf(tar), [&](std::string_view piece) {
        bytes += piece;
        return true;
    });

    ASSERT_FALSE(packed);
    EXPECT_EQ(packed.error().message, "only one file can be sent as raw");
}

/// A zip says times as dates, and a year that does not fit into an int would end the service.
TEST_F(ArtifactsTest, TimesThatNoZipCanSayAreBounded) {
    for (const std::string time : {"9000000000000000000", "-900000000000000000"}) {
        const std::string pax = "29 mtime=" + time + "\n";
        const auto bytes =
            gzip(tarHeader("pax", "00000000035", 'x') + pax + std::string(512 - pax.size(), '\0') +
                 tarHeader("a", "00000000000") + std::string(1024, '\0'));
        const auto path = top_ / "in.tar.gz";
        { std::ofstream(path, std::ios::binary) << bytes; }
        const Fd tar(::open(path.c_str(), O_RDONLY));

        const auto packed = pack({"."}, tar);

        ASSERT_TRUE(packed) << packed.error().message;
        EXPECT_THAT(names(), ElementsAre("a"));
    }
}

}  // namespace
}  // namespace gridbridge::payload
