#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "backends/diracx/DiracxSandbox.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::readFile;
using testing::TempDir;

struct FileClose {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

using Files = std::map<std::string, std::string>;

/// What an archive holds, or why it is refused.
std::pair<Files, std::string> unpacked(const std::string& packed,
                                       const std::set<std::string>& wanted = {"log", "empty",
                                                                              "much", "a"}) {
    const std::unique_ptr<std::FILE, FileClose> file(std::tmpfile());
    EXPECT_EQ(std::fwrite(packed.data(), 1, packed.size(), file.get()), packed.size());
    std::rewind(file.get());
    Files files;
    const auto done =
        unpackSandbox(file.get(), wanted,
                      [&](const std::string& name, std::int64_t offset, std::string_view bytes) {
                          EXPECT_EQ(files[name].size(), static_cast<std::size_t>(offset));
                          files[name] += bytes;
                          return Result<void>();
                      });
    return {files, done ? "" : done.error().message};
}

std::string packed(const std::vector<SandboxFile>& files) {
    return packSandbox(files).value();
}

/// A tar of one entry, as somebody hostile makes it.
std::string entry(const char* name, unsigned kind, const char* target = nullptr) {
    std::string bytes(1 << 16, '\0');
    std::size_t used = 0;
    archive* writer = archive_write_new();
    archive_write_set_format_pax_restricted(writer);
    archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
    archive_entry* made = archive_entry_new();
    archive_entry_set_pathname(made, name);
    archive_entry_set_filetype(made, kind);
    archive_entry_set_perm(made, 0644);
    archive_entry_set_size(made, 0);
    if (target != nullptr && kind == AE_IFLNK) {
        archive_entry_set_symlink(made, target);
    } else if (target != nullptr) {
        archive_entry_set_hardlink(made, target);
    }
    archive_write_header(writer, made);
    archive_entry_free(made);
    archive_write_close(writer);
    archive_write_free(writer);
    return bytes.substr(0, used);
}

TEST(DiracxSandbox, TheSameFilesAreTheSameSandboxAndComeBackWhole) {
    const std::string much(3'000'000, 'x');
    const std::vector<SandboxFile> files{{"log", "line\n"}, {"empty", ""}, {"much", much}};

    EXPECT_EQ(packed(files), packed(files));
    EXPECT_EQ(sandboxChecksum(""),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(unpacked(packed(files)).second, "");
    EXPECT_THAT(unpacked(packed(files)).first,
                ElementsAre(Pair("empty", ""), Pair("log", "line\n"), Pair("much", much)));
}

TEST(DiracxSandbox, NothingLiesBehindTheFrame) {
    const auto bytes = packed({{"a", "b"}});
    // Who unpacks it takes zeros for another frame that is damaged.
    EXPECT_NE(bytes.back(), '\0');
}

TEST(DiracxSandbox, WhatNoJobGivesBackIsRefused) {
    EXPECT_THAT(unpacked(entry("log", AE_IFLNK, "/etc/passwd")).second, HasSubstr("than files"));
    EXPECT_THAT(unpacked(entry("log", AE_IFREG, "status")).second, HasSubstr("than files"));
    EXPECT_THAT(unpacked(entry("log", AE_IFIFO)).second, HasSubstr("than files"));
    EXPECT_THAT(unpacked(entry("log", AE_IFDIR)).second, HasSubstr("than files"));
    EXPECT_THAT(unpacked(entry("../log", AE_IFREG)).second, HasSubstr("a name that"));
    EXPECT_THAT(unpacked(entry("/log", AE_IFREG)).second, HasSubstr("a name that"));
    EXPECT_THAT(unpacked(packed({{"a", "1"}, {"a", "2"}})).second, HasSubstr("a name that"));
    EXPECT_THAT(unpacked("no archive").second, HasSubstr("the output sandbox is refused"));
    std::string noise;
    for (std::uint32_t n = 1; noise.size() < 1'000'000; n = n * 1664525U + 1013904223U) {
        noise += static_cast<char>(n >> 24U);
    }
    auto cut = packed({{"log", noise}});
    cut.resize(cut.size() / 2);
    EXPECT_THAT(unpacked(cut).second, HasSubstr("damaged"));
    EXPECT_EQ(unpacked("").first, Files());
}

TEST(DiracxSandbox, WhatNobodyWantsIsDroppedAndABombRefused) {
    const auto [files, error] = unpacked(packed({{"log", "x"}, {"evil", "y"}, {"a", "z"}}));
    EXPECT_EQ(error, "");
    EXPECT_THAT(files, ElementsAre(Pair("a", "z"), Pair("log", "x")));

    const std::string zeros(std::size_t{100} << 20U, '\0');
    const auto bomb = packed({{"log", "x"}, {"much", zeros}, {"b", zeros}, {"c", zeros}});
    EXPECT_THAT(unpacked(bomb).second, HasSubstr("256 MiB"));
    std::vector<SandboxFile> many;
    for (int i = 0; i < 200; ++i) {
        many.push_back({"f" + std::to_string(i), ""});
    }
    EXPECT_THAT(unpacked(packed(many)).second, HasSubstr("more files"));
}

TEST(DiracxSandbox, NothingLargerThanDiracCarriesIsPacked) {
    std::string noise;
    noise.resize(std::size_t{110} << 20U);
    std::uint64_t n = 1;
    for (auto& c : noise) {
        n = n * 6364136223846793005U + 1442695040888963407U;
        c = static_cast<char>(n >> 56U);
    }
    const auto much = packSandbox({{"a", std::move(noise)}});
    ASSERT_FALSE(much.ok());
    EXPECT_EQ(much.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(much.error().message, HasSubstr("100 MiB"));
}

/// The wrapper in a folder as DIRAC makes it.
class DiracxWrapper : public ::testing::Test {
protected:
    /// Its exit code.
    int run(const std::string& loader, const std::vector<std::string>& outputs) {
        auto files = jobSandbox({{"loader.sh", loader}}, outputs);
        files.push_back(wrapperSandbox(kDiracxMostPacked).front());
        for (const auto& file : files) {
            const auto path = dir_.path() / file.name;
            std::filesystem::create_directories(path.parent_path());
            std::ofstream(path) << file.content;
        }
        const auto command = "cd '" + dir_.path().string() +
                             "' && env -i PATH=/usr/bin:/bin bash gridbridge-wrapper.sh >batch.log";
        return std::system(command.c_str()) >> 8;
    }
    std::string left(const std::string& name) { return readFile(dir_.path() / name); }
    bool has(const std::string& name) { return std::filesystem::exists(dir_.path() / name); }

    TempDir dir_;
};

TEST_F(DiracxWrapper, GivesBackWhatTheJobLeftAndNothingElse) {
    const auto code = run(
        "echo said; echo log >out/log; echo st >out/status; echo a >out/a.tar.gz; echo b >out/b; "
        "ln -s /etc/passwd out/c; exit 0",
        {"log", "status", "a.tar.gz", "c"});

    EXPECT_EQ(code, 0);
    EXPECT_EQ(left("log"), "log\n");
    EXPECT_EQ(left("status"), "st\n");
    EXPECT_EQ(left("a.tar.gz"), "a\n");
    EXPECT_EQ(left("exit"), "0\n");
    EXPECT_EQ(left("batch.log"), "said\n");
    EXPECT_FALSE(has("b"));
    EXPECT_FALSE(has("c"));
    EXPECT_FALSE(has("gridbridge"));
}

TEST_F(DiracxWrapper, NoExitCodeOfAJobIsDiracsOwn) {
    EXPECT_EQ(run("exit 222", {}), 1);  // With 222 DIRAC starts the job again.
    EXPECT_EQ(left("exit"), "222\n");
}

TEST_F(DiracxWrapper, ASignalIsToldAndWhatWasWrittenComesBack) {
    EXPECT_EQ(run("echo half >out/log; kill -9 $$", {"log"}), 1);
    EXPECT_EQ(left("exit"), "137\n");
    EXPECT_EQ(left("log"), "half\n");
}

TEST_F(DiracxWrapper, AFileThatIsTooLargeIsNamedInTheLogOfWhichTheStatusKnows) {
    EXPECT_EQ(run("printf 'the log\\n' >out/log; printf 'version=1\\nlog_bytes=8\\n' >out/status; "
                  "truncate -s 105M out/big.tar.gz; echo small >out/small.tar.gz",
                  {"log", "status", "big.tar.gz", "small.tar.gz"}),
              0);

    EXPECT_FALSE(has("big.tar.gz"));
    EXPECT_EQ(left("small.tar.gz"), "small\n");
    EXPECT_THAT(left("log"), HasSubstr("the log\n"));
    EXPECT_THAT(left("log"), HasSubstr("big.tar.gz has 110100480 bytes, and DIRAC carries no more "
                                       "than 100 MiB"));
    EXPECT_EQ(left("status"), "version=1\nlog_bytes=" + std::to_string(left("log").size()) + "\n");
}

TEST_F(DiracxWrapper, ALogThatIsTooLongIsCutWithASentence) {
    EXPECT_EQ(run("truncate -s 60M out/log; printf 'log_bytes=62914560\\n' >out/status",
                  {"log", "status"}),
              0);

    EXPECT_THAT(left("log").substr(40'000'000), HasSubstr("this log is longer than what DIRAC"));
    EXPECT_EQ(left("status"), "log_bytes=" + std::to_string(left("log").size()) + "\n");
}

}  // namespace
}  // namespace gridbridge
