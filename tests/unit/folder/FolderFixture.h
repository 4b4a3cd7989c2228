#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/TempDir.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge::folder {

/// Folders in a temporary work_dir. Root, which may serve other accounts, uses `daemon` as one.
class FolderFixture : public ::testing::Test {
protected:
    FolderFixture() : work_(temp_.path() / "work"), folders_(work_) {}

    static bool isRoot() { return ::geteuid() == 0; }
    static FolderRef ref(const std::string& key = "gb-test-1-1", const std::string& account = {}) {
        return {.key = {key}, .account = account};
    }
    void stageEmpty(const FolderRef& folder) {
        ASSERT_TRUE(folders_.stage(folder, std::vector<StagedFile>{}).ok());
    }
    std::filesystem::path out(const FolderRef& folder, const std::string& name) {
        return folders_.path(folder) / "out" / name;
    }
    Result<ReadChunk> readOne(const FolderRef& folder, const std::string& name,
                              std::int64_t offset = 0, std::size_t limit = 1000) {
        const std::vector<ReadRequest> requests{{folder, name, offset, limit}};
        return folders_.read(requests).at(0);
    }
    static void write(const std::filesystem::path& path, const std::string& content) {
        std::ofstream file(path, std::ios::binary);
        file << content;
        ASSERT_TRUE(file.flush().good()) << path;
    }
    static struct stat statOf(const std::filesystem::path& path) {
        struct stat info {};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return info;
    }
    static mode_t modeOf(const std::filesystem::path& path) { return statOf(path).st_mode & 07777; }
    Result<ProcessId> startScript(const FolderRef& folder, const std::string& script) {
        return startScript(folder, script, [](const ProcessId&) { return true; });
    }
    Result<ProcessId> startScript(const FolderRef& folder, const std::string& script,
                                  const std::function<bool(const ProcessId&)>& recorded) {
        const std::vector<std::string> argv{"bash", "-c", script};
        return folders_.start(folder, argv, recorded);
    }
    /// Exit code, or 1000 + signal.
    static int waitFor(const ProcessId& process) {
        int status = 0;
        EXPECT_EQ(::waitpid(process.pid, &status, 0), process.pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

    testing::TempDir temp_;
    std::filesystem::path work_;
    DirectFolders folders_;
};

}  // namespace gridbridge::folder
