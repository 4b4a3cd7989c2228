// What a hostile job can upload in place of its artifacts.
#include "tests/fakes/Gzip.h"
#include "tests/unit/payload/ArtifactsTest.h"
#include "tests/unit/payload/DependencyTest.h"

namespace gridbridge::payload {
namespace {

using gridbridge::testing::gzip;
using ::testing::HasSubstr;

constexpr const char* kDamaged = "their archive is damaged or cut short";

TEST_F(DependencyTest, WhatIsNoArchiveIsRefused) {
    EXPECT_EQ(refusal(""), kDamaged);
    EXPECT_EQ(refusal("this is no archive"), kDamaged);
    EXPECT_EQ(refusal("PK\x05\x06"), kDamaged);
    EXPECT_EQ(refusal("\x1f\x8b"), kDamaged);
    EXPECT_EQ(refusal("\x28\xb5\x2f\xfd"), kDamaged);
}

TEST_F(DependencyTest, WhereverAnArchiveIsCutItIsRefused) {
    const std::string text(2000, 'x');
    const auto zip = zipWith({{fileMember("a", text), text}, {linkMember("l", "a")}});
    const auto tar = gzip(tarHeader("a", "00000000002") + "12" + std::string(510 + 1024, '\0'));
    for (const auto& whole : {zip, tar}) {
        EXPECT_TRUE(check(whole));
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_FALSE(check(whole.substr(0, size))) << size << " of " << whole.size();
        }
    }
}

TEST_F(DependencyTest, NamesMadeToCostTimeAreRefused) {
    const auto deep = [](char folder, int file) {
        std::string name;
        for (int i = 0; i < 2000; ++i) {
            name += {folder, '/'};
        }
        return ZipEntry(name + std::to_string(file), "");
    };
    std::vector<ZipEntry> together;
    std::vector<ZipEntry> changing;
    for (int i = 0; i < 200; ++i) {
        together.push_back(deep('a', i));
        changing.push_back(deep(i % 2 == 0 ? 'a' : 'b', i));
    }

    EXPECT_TRUE(check(zipOf(together)));
    EXPECT_EQ(refusal(zipOf(changing)), "they have too many long names");
}

TEST_F(DependencyTest, CheckEndsWhenItIsStopped) {
    std::stop_source stop;
    stop.request_stop();
    const auto file = fileOf(zipOf({{"a", "content"}}));

    const auto checked = checkDependency({.id = 1, .name = "build"}, file.get(), stop.get_token());

    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::Transient);
}

TEST_F(DependencyTest, WrongChecksumIsRefused) {
    ZipEntry entry("a", "content");
    entry.crc ^= 1U;
    EXPECT_EQ(refusal(zipOf({entry, {"b", "1"}})), kDamaged);

    auto tar = gzip(tarHeader("a", "00000000002") + "12" + std::string(510 + 1024, '\0'));
    tar[tar.size() - 5] ^= 1;
    EXPECT_EQ(refusal(tar), kDamaged);
}

TEST_F(DependencyTest, SizesThatAreNotTrueAreRefused) {
    ZipEntry longer("a", "content");
    longer.size += 1;
    ZipEntry shorter("a", "content");
    shorter.size -= 1;
    EXPECT_EQ(refusal(zipOf({longer, {"b", "1"}})), kDamaged);
    EXPECT_EQ(refusal(zipOf({shorter, {"b", "1"}})), kDamaged);

    // The header of the file says other than the directory.
    auto zip = zipOf({{"a", "content"}, {"b", "1"}});
    zip[22] = 3;
    EXPECT_EQ(refusal(zip), kDamaged);
}

TEST_F(DependencyTest, OtherPackingsAndEncryptionAreRefused) {
    for (const unsigned method : {1U, 9U, 12U, 14U, 93U, 95U, 98U}) {
        ZipEntry entry("a", "content");
        entry.method = method;
        EXPECT_THAT(refusal(zipOf({entry})), HasSubstr("by neither deflate nor store: a"))
            << method;
    }
    ZipEntry secret("a", "content");
    secret.flags = 1;
    EXPECT_EQ(refusal(zipOf({secret})), "something in them is encrypted: a");
}

TEST_F(DependencyTest, BombsAreRefusedBeforeTheyAreUnpacked) {
    std::vector<ZipEntry> each4GiB;
    for (const char* name : {"a", "b", "c"}) {
        each4GiB.emplace_back(name, "");
        each4GiB.back().size = 0xffff'fffe;
    }
    EXPECT_EQ(refusal(zipOf(each4GiB)), "their archive unpacks to more than its size can hold");
    // 2^50 in base 256.
    EXPECT_EQ(refusal(gzip(tarHeader("big", {'\x80', 0, 0, 0, 0, '\x04'}))),
              "they are larger than 10 GiB");
}

/// As in "A better zip bomb" (Fifield): what is stored in each file begins with the next one.
TEST_F(DependencyTest, FilesThatLieOneUponTheOtherAreRefused) {
    const ZipEntry kernel("z", std::string(1000, 'x'));
    const auto last = zipHeader(kernel) + kernel.bytes;
    const ZipEntry quoting("a", last);
    const auto files = zipHeader(quoting) + last;
    const auto directory =
        zipDirectoryEntry(quoting, 0) + zipDirectoryEntry(kernel, zipHeader(quoting).size());

    EXPECT_EQ(refusal(files + directory + zipEnd(2, directory.size(), files.size())),
              "files in their archive lie one upon the other");

    // The directory leads back, where libarchive does not go, to find a header all the same.
    const ZipEntry next("b", "1");
    const auto whole = zipHeader(kernel) + kernel.bytes + zipHeader(next) + next.bytes;
    const auto back = zipDirectoryEntry(kernel, 0) + zipDirectoryEntry(next, 16);
    EXPECT_EQ(refusal(whole + back + zipEnd(2, back.size(), whole.size())),
              "files in their archive lie one upon the other");
}

TEST_F(DependencyTest, DirectoriesOfAnyLengthAreNotReadToTheirEnd) {
    const ZipEntry file("a", "1");
    const auto start = zipHeader(file) + file.bytes;
    std::string directory;
    const auto entry = zipDirectoryEntry(file, 0);
    for (int i = 0; i < 1'002'000; ++i) {
        directory += entry;
    }
    const auto checked = check(start + directory + zipEnd(1, directory.size(), start.size()));
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("more than 1000000 files and folders"));
}

TEST_F(DependencyTest, FoldersThatAreOnlyNamedCount) {
    std::string path;
    std::vector<ZipEntry> entries;
    for (int i = 0; i < 1000; ++i) {
        path += "/a";
    }
    for (int i = 0; i < 1002; ++i) {
        entries.emplace_back(std::to_string(i) + path, "");
    }
    EXPECT_THAT(refusal(zipOf(entries)), HasSubstr("more than 1000000 files and folders"));
}

TEST_F(DependencyTest, EndlessHeadersOfATarAreRefused) {
    std::string pax;
    for (const char* line : {"22 GNU.sparse.major=1\n", "22 GNU.sparse.minor=0\n",
                             "25 GNU.sparse.realsize=1\n", "21 GNU.sparse.name=a\n"}) {
        pax += line;
    }
    std::string size(12, '\0');
    std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(pax.size()));
    std::string holes = "100000000\n";
    for (int i = 0; i < 1'000'000; ++i) {
        holes += "0\n0\n";
    }
    EXPECT_EQ(refusal(gzip(tarHeader("pax", size, 'x') + pax + std::string(512 - pax.size(), '\0') +
                           tarHeader("a", "77777777777") + holes)),
              "their archive holds more than its files");
    // Behind the end.
    EXPECT_EQ(refusal(gzip(tarHeader("a", "00000000000") + std::string(4 << 20, '\0'))),
              "their archive holds more than its files");
}

TEST_F(DependencyTest, HardLinksOfATarAreRefused) {
    const auto link = tarHeader("b", "00000000000", '1', "a");

    EXPECT_EQ(refusal(gzip(tarHeader("a", "00000000000") + link + std::string(1024, '\0'))),
              "they hold something other than files, folders and links: b");
}

}  // namespace
}  // namespace gridbridge::payload
