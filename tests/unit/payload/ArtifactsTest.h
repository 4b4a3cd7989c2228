#pragma once

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
#include "tests/fakes/Gzip.h"
#include "tests/unit/payload/HandmadeTar.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {

struct Zipped {
    std::string content;  ///< Or the target of a link.
    unsigned mode = 0;    ///< With the type bits.
};

inline std::map<std::string, Zipped> unzipped(const std::filesystem::path& path,
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
inline std::string noise(std::size_t size) {
    std::minstd_rand random;
    std::string bytes(size, '\0');
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random() >> 8U); });
    return bytes;
}

/// From its beginning.
inline Pieces piecesOf(const Fd& file) {
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
        auto content = surveyArtifact(job_, 0, told_, tarball());
        if (content && content->entries > 0) {
            std::ofstream out(zip(), std::ios::binary);
            const auto packed =
                packArtifact(job_, 0, told_, tarball(), [&](std::string_view bytes) {
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
        return runAndPackEntry(std::move(script), archiveOf(paths));
    }
    Result<ArtifactContent> runAndPackEntry(std::vector<std::string> script,
                                            const gitlab::ArtifactEntry& entry) {
        job_.steps = {{"script", std::move(script)}};
        job_.artifacts = {entry};
        ScriptRun run(job_);
        run.run();
        EXPECT_EQ(run.status().outcome, "success") << run.log();
        const auto tar = (run.folder() / "out/artifact.0.tar.gz").string();
        const Fd in(::open(tar.c_str(), O_RDONLY));
        std::vector<std::pair<std::string, std::int64_t>> expected;
        if (in) {
            expected.emplace_back("artifact.0.tar.gz", std::filesystem::file_size(tar));
        }
        told_.reset();
        if (run.exists("out/" + namesName(0))) {
            told_ = run.file("out/" + namesName(0));
            expected.emplace_back(namesName(0), told_->size());
        }
        EXPECT_THAT(run.status().outputs, ::testing::UnorderedElementsAreArray(expected));
        return packFirst([&] { return piecesOf(in); });
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
    std::optional<std::string> told_;  ///< By the node, beside the tarball.
};

}  // namespace gridbridge::payload
