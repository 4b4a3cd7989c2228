#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

struct Zipped {
    std::string content;  ///< Or the target of a link.
    unsigned mode = 0;    ///< With the type bits.
};

std::map<std::string, Zipped> unzipped(const std::filesystem::path& path,
                                       std::vector<std::string>* order = nullptr) {
    std::map<std::string, Zipped> found;
    archive* in = archive_read_new();
    archive_read_support_format_zip_seekable(in);
    EXPECT_EQ(archive_read_open_filename(in, path.c_str(), 10240), ARCHIVE_OK);
    setlocale(LC_CTYPE, "C.UTF-8");
    archive_entry* entry = nullptr;
    while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
        const std::string name = archive_entry_pathname(entry);
        auto& file = found[name];
        file.mode = archive_entry_mode(entry);
        const char* target = archive_entry_symlink(entry);
        file.content = target == nullptr ? "" : target;
        char buffer[4096];
        for (la_ssize_t got = 0; (got = archive_read_data(in, buffer, sizeof buffer)) > 0;) {
            file.content.append(buffer, static_cast<std::size_t>(got));
        }
        if (order != nullptr) {
            order->push_back(name);
        }
    }
    archive_read_free(in);
    setlocale(LC_CTYPE, "C");
    return found;
}

/// Bytes that do not compress.
std::string noise(std::size_t size) {
    std::minstd_rand random;
    std::string bytes(size, '\0');
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random() >> 8U); });
    return bytes;
}

/// Of a file in a tar archive; `size` is the raw bytes of that field.
std::string tarHeader(const std::string& name, const std::string& size) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, 7, "0000644");
    header.replace(124, size.size(), size);
    header[156] = '0';
    const std::string ustar(
        "ustar\0"
        "00",
        8);
    header.replace(257, ustar.size(), ustar);
    unsigned sum = 8 * ' ';
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    char digits[8] = {};
    std::snprintf(digits, sizeof digits, "%06o", sum);
    return header.replace(148, 8, std::string(digits, 7) + " ");
}

/// From its beginning.
Pieces piecesOf(const Fd& file) {
    return [&file, at = off_t{0}]() mutable -> Result<std::string> {
        std::string piece(1000, '\0');
        const auto got = ::pread(file.get(), piece.data(), piece.size(), at);
        piece.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        at += static_cast<off_t>(piece.size());
        return piece;
    };
}

struct Item {
    std::string name;
    std::string content;
    unsigned type = AE_IFREG;
    std::string target = {};  ///< Of a link of either kind.
};

class ArtifactsTest : public ::testing::Test {
protected:
    ArtifactsTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "artifacts-test.XXXXXX";
        top_ = mkdtemp(pattern.data());
        job_ = jobWith({"true"});
    }
    ~ArtifactsTest() override { std::filesystem::remove_all(top_); }

    /// A tarball as a hostile script could leave it.
    Fd tarball(const std::vector<Item>& items) {
        const auto path = (top_ / "in.tar.gz").string();
        setlocale(LC_CTYPE, "C.UTF-8");
        archive* out = archive_write_new();
        archive_write_add_filter_gzip(out);
        archive_write_set_format_pax(out);
        archive_write_open_filename(out, path.c_str());
        for (const auto& item : items) {
            archive_entry* entry = archive_entry_new();
            archive_entry_set_pathname(entry, item.name.c_str());
            archive_entry_set_filetype(entry, item.type);
            archive_entry_set_perm(entry, 04755);
            archive_entry_set_size(entry, static_cast<la_int64_t>(item.content.size()));
            if (!item.target.empty() && item.type == AE_IFLNK) {
                archive_entry_set_symlink(entry, item.target.c_str());
            } else if (!item.target.empty()) {
                archive_entry_set_hardlink(entry, item.target.c_str());
            }
            archive_write_header(out, entry);
            archive_write_data(out, item.content.data(), item.content.size());
            archive_entry_free(entry);
        }
        archive_write_free(out);
        setlocale(LC_CTYPE, "C");
        return Fd(::open(path.c_str(), O_RDONLY));
    }

    /// As an upload does: first what is in it, then the zip itself.
    Result<ArtifactContent> packFirst(const std::function<Pieces()>& tarball) {
        auto content = surveyArtifact(job_, 0, tarball());
        if (content && content->entries > 0) {
            std::ofstream out(zip(), std::ios::binary);
            const auto packed = packArtifact(job_, 0, tarball(), [&](std::string_view bytes) {
                out << bytes;
                return true;
            });
            EXPECT_TRUE(packed) << packed.error().message;
        }
        return content;
    }
    Result<ArtifactContent> pack(const std::vector<std::string>& paths, const Fd& tar) {
        job_.artifacts = {archiveOf(paths)};
        return packFirst([&] { return piecesOf(tar); });
    }
    Result<ArtifactContent> packItems(const std::vector<Item>& items) {
        const auto tar = tarball(items);
        return pack({"."}, tar);
    }
    /// Runs the job with these paths and packs what it collected.
    Result<ArtifactContent> runAndPack(std::vector<std::string> script,
                                       const std::vector<std::string>& paths) {
        job_.steps = {{"script", std::move(script)}};
        job_.artifacts = {archiveOf(paths)};
        ScriptRun run(job_);
        run.run();
        EXPECT_EQ(run.status().outcome, "success") << run.log();
        const auto tar = (run.folder() / "out/artifact.0.tar.gz").string();
        const Fd in(::open(tar.c_str(), O_RDONLY));
        std::vector<std::pair<std::string, std::int64_t>> expected;
        if (in) {
            expected.emplace_back("artifact.0.tar.gz", std::filesystem::file_size(tar));
        }
        EXPECT_EQ(run.status().outputs, expected);
        return pack(paths, in);
    }
    std::vector<std::string> names() {
        std::vector<std::string> order;
        unzipped(zip(), &order);
        return order;
    }
    std::string zipBytes() const {
        std::ifstream in(zip(), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::filesystem::path zip() const { return top_ / "artifacts.zip"; }

    std::filesystem::path top_;
    gitlab::JobDescription job_;
};

TEST_F(ArtifactsTest, FolderIsPackedWholeWithModesLinksAndNames) {
    const auto packed =
        runAndPack({"mkdir -p build/sub/empty other", "echo hi >build/run", "chmod 755 build/run",
                    "echo h >build/.hidden", "echo u >build/ä.txt", "ln -s run build/link",
                    "mkfifo build/fifo", "printf n >$'build/new\\nline'", "echo no >other/x",
                    "echo m >-main.txt"},
                   {"build/", "./-main.txt"});

    ASSERT_TRUE(packed) << packed.error().message;
    const auto files = unzipped(zip());
    EXPECT_EQ(packed->entries, 9);
    EXPECT_EQ(packed->filename, "artifacts.zip");
    EXPECT_THAT(packed->lines,
                ElementsAre("build/: found 8 matching artifact files and directories",
                            "./-main.txt: found 1 matching artifact files and directories"));
    EXPECT_THAT(names(),
                ElementsAre("-main.txt", "build/", "build/.hidden", "build/link", "build/new\nline",
                            "build/run", "build/sub/", "build/sub/empty/", "build/\xc3\xa4.txt"));
    EXPECT_EQ(files.at("build/run").content, "hi\n");
    EXPECT_EQ(files.at("build/run").mode, S_IFREG | 0755U);
    EXPECT_EQ(files.at("build/.hidden").mode, S_IFREG | 0644U);
    EXPECT_EQ(files.at("build/sub/").mode, S_IFDIR | 0755U);
    EXPECT_EQ(files.at("build/link").content, "run");
    EXPECT_EQ(files.at("build/link").mode, S_IFLNK | 0777U);
}

TEST_F(ArtifactsTest, GlobsSelectAsOnTheService) {
    const auto packed = runAndPack(
        {"mkdir -p a/b c", "touch a/x.txt a/b/y.txt a/b/z.log c/x.txt r.txt", "touch \"it's.dat\""},
        {"a/**/*.txt", "?.txt", "{c,d}/*", "it's*"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("a/b/y.txt", "a/x.txt", "c/x.txt", "it's.dat", "r.txt"));
}

TEST_F(ArtifactsTest, PathsAreExpandedFromTheJobsVariables) {
    setVariable(job_, "DIR", "out");
    setVariable(job_, "CI_JOB_NAME", "build all");
    const auto packed =
        runAndPack({"mkdir out abs", "touch out/1 abs/2"}, {"$DIR/1", "${CI_PROJECT_DIR}/abs/2"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("abs/2", "out/1"));
}

TEST_F(ArtifactsTest, NoMatchIsAWarningAndNoFailure) {
    const auto packed = runAndPack({"true"}, {"build/", "*.txt"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(packed->entries, 0);
    EXPECT_FALSE(std::filesystem::exists(zip()));
    EXPECT_THAT(packed->lines,
                ElementsAre("WARNING: build/: no matching files. Ensure that the artifact path is "
                            "relative to the working directory (group/project)",
                            "WARNING: *.txt: no matching files. Ensure that the artifact path is "
                            "relative to the working directory (group/project)",
                            "ERROR: No files to upload"));
}

TEST_F(ArtifactsTest, PathsOutsideTheProjectAreIgnoredWithALine) {
    const auto packed =
        runAndPack({"echo x >../x", "echo y >y"},
                   {"../x", "/etc/passwd", "$CI_BUILDS_DIR/x", "[", "$NOPE", "a/../y"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("y"));
    const std::string outside =
        "WARNING: processPath: artifact path is not a subpath of project directory: ";
    EXPECT_THAT(packed->lines,
                ElementsAre(outside + "../x", outside + "/etc/passwd", outside + "$CI_BUILDS_DIR/x",
                            "WARNING: [: syntax error in pattern",
                            "WARNING: No matching files. Path is empty.",
                            "a/../y: found 1 matching artifact files and directories"));
}

TEST_F(ArtifactsTest, ArchiveIsNamedAfterTheLastPartOfItsName) {
    setVariable(job_, "CI_JOB_NAME", "build all");
    const auto nameFor = [&](const std::string& name) {
        job_.artifacts = {archiveOf({"x"})};
        job_.artifacts[0].name = name;
        return surveyArtifact(job_, 0, [] { return Result<std::string>(""); })->filename;
    };
    EXPECT_EQ(nameFor(""), "artifacts.zip");
    EXPECT_EQ(nameFor("$CI_JOB_NAME"), "build all.zip");
    EXPECT_EQ(nameFor("x/$CI_JOB_NAME/"), "build all.zip");
    EXPECT_EQ(nameFor("$NOPE"), "default.zip");
    EXPECT_EQ(nameFor("a\"b\nc"), "a_b?c.zip");
    EXPECT_EQ(nameFor(".."), "default.zip");
}

TEST_F(ArtifactsTest, EntriesAreCollectedForTheOutcomeTheyAreFor) {
    for (const bool success : {true, false}) {
        auto job = jobWith({"touch f", success ? "true" : "exit 1"});
        for (const auto* when : {"on_success", "on_failure", "always"}) {
            job.artifacts.push_back(archiveOf({"f"}));
            job.artifacts.back().when = when;
        }
        ScriptRun run(job);
        run.run();
        EXPECT_EQ(run.exists("out/artifact.0.tar.gz"), success);
        EXPECT_EQ(run.exists("out/artifact.1.tar.gz"), !success);
        EXPECT_TRUE(run.exists("out/artifact.2.tar.gz"));
        EXPECT_EQ(run.status().outputs.size(), 2U);
    }
}

TEST_F(ArtifactsTest, CollectionThatFailsIsReported) {
    job_.steps = {{"script", {"rm -rf \"$PWD\""}}};
    job_.artifacts = {archiveOf({"f"})};
    ScriptRun run(job_);
    run.run();

    EXPECT_EQ(run.status().outcome, "success");
    EXPECT_EQ(run.status().why, "collect_failed");
}

TEST_F(ArtifactsTest, SameInputGivesTheSameBytes) {
    const auto tar = tarball(
        {{"a", "3"}, {"a.txt", ""}, {"aa/", "", AE_IFDIR}, {"b", std::string(200000, 'x')}});
    std::vector<std::string> zips;
    for (const char* zone : {"UTC", "Pacific/Auckland"}) {
        ::setenv("TZ", zone, 1);
        ::tzset();
        ASSERT_TRUE(pack({"."}, tar));
        zips.push_back(zipBytes());
    }
    ::unsetenv("TZ");
    ::tzset();

    EXPECT_EQ(zips[0], zips[1]);
}

TEST_F(ArtifactsTest, NonAsciiNamesAreMarkedAsUtf8) {
    ASSERT_TRUE(packItems({{"\xc3\xa4", "1"}}));
    std::ifstream in(zip(), std::ios::binary);
    std::string head(8, '\0');
    in.read(head.data(), 8);
    // Local file header: general purpose flags at offset 6; bit 11 = UTF-8.
    EXPECT_EQ(static_cast<unsigned char>(head[7]) & 8U, 8U);
}

TEST_F(ArtifactsTest, FilesTheScriptAddedToTheTarballAreLeftOut) {
    const auto tar = tarball({{"out/a", "1"}, {"secret", "2"}});
    ASSERT_TRUE(pack({"out"}, tar));
    EXPECT_THAT(names(), ElementsAre("out/a"));
}

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
        {{"a", "", AE_IFLNK, "/etc"}, {"a/x", "1"}},
        {{"a", "", AE_IFLNK, "/etc"}, {"a.txt", "1"}, {"a/x", "1"}},
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

TEST_F(ArtifactsTest, PathsThatMeetBringEachFileOnce) {
    const auto packed = runAndPack({"mkdir -p out/a", "touch out/a/x out/a.txt out/a-b"},
                                   {"out/a", ".", "out/*", "./out"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("out/", "out/a/", "out/a-b", "out/a.txt", "out/a/x"));
}

/// More files than fit into the fields of a zip without the extension for it.
TEST_F(ArtifactsTest, Case72ArchiveOfSeventyThousandFiles) {
    std::vector<Item> items;
    for (int i = 0; i < 70000; ++i) {
        items.push_back({std::to_string(100000 + i), ""});
    }

    const auto packed = packItems(items);

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(packed->entries, 70000);
    EXPECT_EQ(names().size(), 70000U);
    EXPECT_NE(zipBytes().find("PK\x06\x06"), std::string::npos) << "the directory's end as zip64";
}

TEST_F(ArtifactsTest, NoMoreIsReadOnceNobodyTakesTheZip) {
    const auto tar = tarball({{"a", noise(1'000'000)}});
    job_.artifacts = {archiveOf({"."})};
    int pieces = 0;
    const auto packed = packArtifact(
        job_, 0, [&, next = piecesOf(tar)]() mutable { return ++pieces, next(); },
        [](std::string_view) { return false; });

    EXPECT_TRUE(packed);
    EXPECT_LT(pieces, 200) << "of a thousand";
}

TEST_F(ArtifactsTest, EndlessFilesAreRefusedBeforeTheyAreUnpacked) {
    const auto path = top_ / "in.tar.gz";
    // The size, in base 256, is 2^50.
    { std::ofstream(path, std::ios::binary) << tarHeader("big", {'\x80', 0, 0, 0, 0, '\x04'}); }
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
    int thousands = 0;
    const Pieces endless = [&]() -> Result<std::string> {
        ++thousands;
        return thousand;
    };

    const auto packed = surveyArtifact(job_, 0, endless);

    ASSERT_FALSE(packed);
    EXPECT_EQ(packed.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(packed.error().message, HasSubstr("more than 1000000 files"));
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

TEST_F(ArtifactsTest, NamesThatAreNotUtf8AreLeftOutWithALine) {
    const auto packed = runAndPack({"mkdir out", "touch $'out/\\xff' out/good"}, {"out/*"});

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("out/good"));
    EXPECT_THAT(packed->lines.back(), HasSubstr("1 files are left out"));
}

TEST_F(ArtifactsTest, AFileOfTheNodeThatCannotBeReadAnyMoreIsToldAsItIs) {
    const auto tar = tarball({{"a", noise(100'000)}});
    job_.artifacts = {archiveOf({"."})};
    for (const int good : {0, 1}) {
        const Pieces away = [next = piecesOf(tar), left = good]() mutable -> Result<std::string> {
            return left-- > 0 ? next() : transientError("away");
        };
        const auto surveyed = surveyArtifact(job_, 0, away);
        const auto packed = packArtifact(job_, 0, away, [](std::string_view) { return true; });

        ASSERT_FALSE(surveyed);
        EXPECT_EQ(surveyed.error().message, "away");
        ASSERT_FALSE(packed);
        EXPECT_EQ(packed.error().kind, ErrorKind::Transient);
        EXPECT_EQ(packed.error().message, "away");
    }
}

TEST_F(ArtifactsTest, UntrackedFilesAreThoseGitDoesNotKnow) {
    job_.steps = {{"script",
                   {"git init -q .", "echo ignored >.gitignore", "touch ignored known",
                    "git add .gitignore known"}}};
    job_.artifacts = {archiveOf({})};
    job_.artifacts[0].untracked = true;
    ScriptRun run(job_);
    run.run();
    const Fd tar(::open((run.folder() / "out/artifact.0.tar.gz").c_str(), O_RDONLY));
    const auto packed = packFirst([&] { return piecesOf(tar); });

    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_THAT(names(), ElementsAre("ignored"));
    EXPECT_THAT(packed->lines, ElementsAre("untracked: found 1 files"));
}

}  // namespace
}  // namespace gridbridge::payload
