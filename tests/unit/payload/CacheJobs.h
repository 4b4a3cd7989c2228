#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/payload/CacheKey.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {

/// Jobs whose caches lie in a folder that several nodes see: here, that several runs of scripts
/// share.
class CacheJobs : public ::testing::Test {
protected:
    CacheJobs() {
        std::string pattern = std::filesystem::temp_directory_path() / "cache test's.XXXXXX";
        top_ = mkdtemp(pattern.data());
        std::filesystem::create_directory(top_ / "caches");
        context_.cache = {(top_ / "caches").string(), "", std::uint64_t{1} << 30U,
                          std::chrono::hours(24)};
    }
    ~CacheJobs() override { std::filesystem::remove_all(top_); }

    static gitlab::JobDescription job(std::vector<std::string> script,
                                      gitlab::CacheEntry cache = {.key = "k", .paths = {"lib/"}}) {
        auto job = jobWith(std::move(script));
        job.projectId = 7;
        job.traceSections = true;
        job.cache = {std::move(cache)};
        return job;
    }
    /// What a person reads of its log; `outcome` is what its status says.
    std::string run(const gitlab::JobDescription& job, const std::string& outcome = "success") {
        ScriptRun run(job, context_);
        run.run();
        EXPECT_EQ(run.status().outcome, outcome) << run.text();
        sections_ = run.log();
        return run.text();
    }
    static constexpr auto kRootOnly = "a small disk can be mounted by root only";
    /// As run(), with a scratch that is such a disk; nothing when that cannot be mounted.
    std::optional<std::string> runOn(const char* disk, const gitlab::JobDescription& job,
                                     const std::string& outcome) {
        ScriptRun run(job, context_);
        const auto scratch = run.scratch();
        std::filesystem::create_directories(scratch);
        if (::mount("tmpfs", scratch.c_str(), "tmpfs", 0, disk) != 0) {
            return std::nullopt;
        }
        run.run();
        EXPECT_EQ(::umount2(scratch.c_str(), MNT_DETACH), 0);
        EXPECT_EQ(run.status().outcome, outcome) << run.text();
        return run.text();
    }
    static std::string accountOfThisTest() { return ::getpwuid(::geteuid())->pw_name; }
    std::filesystem::path caches() const { return top_ / "caches"; }
    std::filesystem::path archive(const std::string& key = "k") const {
        return caches() / context_.cache.account / "7" / cacheFolderName(key) / "cache.tar.gz";
    }
    /// A tarball that somebody made by a command of bash in an empty folder.
    void plant(const std::string& key, const std::string& command) {
        std::filesystem::create_directories(archive(key).parent_path());
        const auto made = top_ / "made";
        std::filesystem::create_directories(made);
        const auto all = "cd '" + quoted(made) + "' && A='" + quoted(archive(key)) + "' V='" +
                         quoted(top_ / "victim") + "'\n" + command;
        std::ofstream(top_ / "plant.sh") << all;
        ASSERT_EQ(std::system(("bash '" + quoted(top_ / "plant.sh") + "'").c_str()), 0);
        std::filesystem::remove_all(made);
    }
    static std::string quoted(const std::filesystem::path& path) {
        std::string text;
        for (const char c : path.string()) {
            text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        }
        return text;
    }
    static std::size_t countOf(const std::string& what, const std::string& text) {
        std::size_t count = 0;
        for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
            ++count;
        }
        return count;
    }
    static std::size_t filesBelow(const std::filesystem::path& folder) {
        std::size_t count = 0;
        for (const auto& each : std::filesystem::recursive_directory_iterator(folder)) {
            count += each.is_directory() ? 0U : 1U;
        }
        return count;
    }
    static void setTime(const std::filesystem::path& file, std::time_t used, std::time_t made) {
        const std::array<timespec, 2> times{timespec{used, 0}, timespec{made, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times.data(), 0), 0) << file;
    }

    std::filesystem::path top_;
    ScriptContext context_ = contextNow();
    std::string sections_;
};

}  // namespace gridbridge::payload
