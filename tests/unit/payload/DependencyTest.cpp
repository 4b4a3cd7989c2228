#include "tests/unit/payload/DependencyTest.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// A tar in that packing, as the official runner can be told to upload.
std::string tarWith(const std::vector<Content>& contents, int (*pack)(archive*)) {
    std::string bytes(std::size_t{1} << 20, '\0');
    std::size_t used = 0;
    archive* out = archive_write_new();
    archive_write_set_format_pax_restricted(out);
    EXPECT_EQ(pack(out), ARCHIVE_OK);
    EXPECT_EQ(archive_write_open_memory(out, bytes.data(), bytes.size(), &used), ARCHIVE_OK);
    for (const auto& [member, content] : contents) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, member.name.c_str());
        archive_entry_set_filetype(entry, member.kind == Member::Kind::Link ? AE_IFLNK : AE_IFREG);
        archive_entry_set_perm(entry, member.mode);
        archive_entry_set_mtime(entry, member.modifiedAt, 0);
        archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        if (member.kind == Member::Kind::Link) {
            archive_entry_set_symlink(entry, member.target.c_str());
        }
        EXPECT_EQ(archive_write_header(out, entry), ARCHIVE_OK);
        archive_write_data(out, content.data(), content.size());
        archive_entry_free(entry);
    }
    archive_write_free(out);
    return bytes.substr(0, used);
}

TEST_F(DependencyTest, Case74ModesTimesLinksAndNamesArrive) {
    const auto tarball = tarballOf(zipWith({{linkMember("a link", "bin/tool")},
                                            {folderMember("bin", 0700)},
                                            {fileMember("bin/tool", "#!", 0755), "#!"},
                                            {fileMember("secret", "1", 0600), "1"},
                                            {fileMember("\xc3\xa4/\xe6\x97\xa5\nx", ""), ""},
                                            {fileMember("c/C:\\a\\..\\b", "12"), "12"}}));

    EXPECT_THAT(
        listed(tarball),
        ElementsAre("drwx------ 0/0               0 2020-09-13 12:26:41 bin/",
                    "-rwxr-xr-x 0/0               2 2020-09-13 12:26:41 bin/tool",
                    "-rw------- 0/0               1 2020-09-13 12:26:41 secret",
                    "drwxr-xr-x 0/0               0 2020-09-13 12:26:41 \xc3\xa4/",
                    "-rw-r--r-- 0/0               0 2020-09-13 12:26:41 \xc3\xa4/\xe6\x97\xa5", "x",
                    "drwxr-xr-x 0/0               0 2020-09-13 12:26:41 c/",
                    "-rw-r--r-- 0/0               2 2020-09-13 12:26:41 c/C:\\a\\..\\b",
                    "lrwxrwxrwx 0/0               0 2020-09-13 12:26:41 a link -> bin/tool"));
}

TEST_F(DependencyTest, TarballsAreTakenToo) {
    const std::vector<Content> contents = {{linkMember("link", "x")},
                                           {fileMember("a/b", "12", 0755), "12"}};
    for (const auto pack : {&archive_write_add_filter_gzip, &archive_write_add_filter_zstd}) {
        const auto tarball = tarballOf(tarWith(contents, pack));

        EXPECT_THAT(listed(tarball),
                    ElementsAre("drwxr-xr-x 0/0               0 2020-09-13 12:26:41 a/",
                                "-rwxr-xr-x 0/0               2 2020-09-13 12:26:41 a/b",
                                "lrwxrwxrwx 0/0               0 2020-09-13 12:26:41 link -> x"));
    }
}

TEST_F(DependencyTest, BytesOfAnySizeArriveUnchanged) {
    std::string noise(3'000'000, '\0');
    unsigned state = 1;
    for (auto& byte : noise) {
        state = state * 1'103'515'245U + 12345U;
        byte = static_cast<char>(state >> 24U);
    }
    const auto tarball = tarballOf(zipWith({{fileMember("big", noise), noise}}));
    { std::ofstream(dir_.path() / "tarball", std::ios::binary) << tarball; }
    const auto command = "cd " + dir_.path().string() + " && tar -xzf tarball";

    ASSERT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(testing::readFile(dir_.path() / "big"), noise);
}

TEST_F(DependencyTest, NoFileGetsTheRightsOfItsOwner) {
    EXPECT_THAT(listed(tarballOf(zipOf({{"a", "1", S_IFREG | 06755U}}))),
                ElementsAre(HasSubstr("-rwxr-xr-x ")));
}

TEST_F(DependencyTest, ArchiveOfSeventyThousandFiles) {
    std::vector<Content> contents;
    for (int i = 0; i < 70'000; ++i) {
        contents.push_back({fileMember("f" + std::to_string(i), "")});
    }
    EXPECT_THAT(listed(tarballOf(zipWith(contents))), SizeIs(70'000));
}

TEST_F(DependencyTest, ArchiveOfNothingIsATarballOfNothing) {
    EXPECT_THAT(listed(tarballOf(zipOf({}))), SizeIs(0));
}

TEST_F(DependencyTest, NamesThatLeadOutAreRefused) {
    for (const std::string name :
         {"../x", "a/../b", "a/..", "/etc/x", "a//b", "a/./b", "..", "./../x"}) {
        EXPECT_EQ(refusal(zipOf({{"ok", "1"}, {name, "2"}})),
                  "a name in them leads out of the project folder: " + name);
    }
    EXPECT_THAT(refusal(zipOf({{std::string(5000, 'a'), "1"}})), HasSubstr("leads out"));
    auto fromWindows = ZipEntry("..\\x", "1");
    fromWindows.system = 0;
    EXPECT_THAT(refusal(zipOf({fromWindows})), HasSubstr("leads out"));
}

TEST_F(DependencyTest, MessagesHoldNoControlBytes) {
    dependency_.name = "build\n\033[2J";
    const auto checked = check(zipOf({{"../\n\033[1mx", "1"}}));

    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().message,
              "the artifacts of build??[2J (12) cannot be used: a name in them leads out of the "
              "project folder: ../??[1mx");
}

TEST_F(DependencyTest, WhatLiesBelowALinkIsRefusedInAnyOrder) {
    const ZipEntry link("a", "/etc", S_IFLNK | 0777U);
    const ZipEntry file("a", "1");
    for (const auto& above : {link, file}) {
        EXPECT_EQ(refusal(zipOf({above, {"a/b/x", "1"}})),
                  "something in them lies below what is no folder: a/b/x");
        EXPECT_EQ(refusal(zipOf({{"a/b/x", "1"}, above})), "a name comes twice in them: a");
    }
}

TEST_F(DependencyTest, NamesThatComeTwiceAreRefusedButFoldersMay) {
    const ZipEntry folder("a/", "", S_IFDIR | 0755U);
    const ZipEntry link("a", "x", S_IFLNK | 0777U);
    const ZipEntry file("a", "1");

    EXPECT_EQ(refusal(zipOf({file, file})), "a name comes twice in them: a");
    EXPECT_EQ(refusal(zipOf({file, {"./a", "2"}})), "a name comes twice in them: a");
    EXPECT_EQ(refusal(zipOf({link, file})), "a name comes twice in them: a");
    EXPECT_EQ(refusal(zipOf({link, folder})), "a name comes twice in them: a");
    EXPECT_EQ(refusal(zipOf({folder, link})), "a name comes twice in them: a");
    EXPECT_THAT(listed(tarballOf(zipOf({folder, {"a/x", "1"}, folder}))), SizeIs(3));
}

TEST_F(DependencyTest, OnlyFilesFoldersAndLinksAreTaken) {
    for (const auto type : {S_IFCHR, S_IFBLK, S_IFSOCK}) {
        EXPECT_EQ(refusal(zipOf({{"x", "", static_cast<unsigned>(type) | 0644U}})),
                  "they hold something other than files, folders and links: x");
    }
    EXPECT_EQ(refusal(zipOf({{"x", "", S_IFLNK | 0777U}})), "a link in them leads to no name: x");
    EXPECT_EQ(refusal(zipOf({{"x", std::string(4096, 'a'), S_IFLNK | 0777U}})),
              "a link in them leads to no name: x");
}

TEST_F(DependencyTest, SinkThatTakesNoMoreEndsIt) {
    const auto file = fileOf(zipWith({{fileMember("a", "1"), "1"}, {linkMember("l", "a")}}));
    int pieces = 0;
    EXPECT_TRUE(packDependency(dependency_, file.get(), [&](std::string_view) {
        ++pieces;
        return false;
    }));
    EXPECT_EQ(pieces, 1);
}

TEST_F(DependencyTest, FileThatCannotBeReadMayBeReadLater) {
    const Fd folder(::open(dir_.path().c_str(), O_RDONLY));
    const auto checked = checkDependency(dependency_, folder.get());

    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::Transient);
    EXPECT_EQ(checked.error().message,
              "the artifacts of build (12) cannot be read: Is a directory");
}

}  // namespace
}  // namespace gridbridge::payload
