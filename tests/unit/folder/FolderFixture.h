#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "bridge/folder/AgentFolders.h"
#include "tests/fakes/AgentCopy.h"
#include "tests/fakes/TempDir.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge::folder {

/// Whose submissions the tests are about.
struct Whose {
    std::string name;
    std::string account;
};
inline void PrintTo(const Whose& whose, std::ostream* out) {
    *out << whose.name;
}

/// Those of the service's own account, served directly; the same through an agent; and as root
/// those of another account through an agent.
inline std::vector<Whose> everybody() {
    std::vector<Whose> all{{"direct", ""}, {"agent", findAccount("").value().name}};
    if (::geteuid() == 0) {
        all.push_back({"agentOfAnother", "daemon"});
    }
    return all;
}
inline std::string nameOf(const ::testing::TestParamInfo<Whose>& p) {
    return p.param.name;
}

/// Folders in a temporary work_dir. What a test puts there belongs to the account, as if its job
/// had put it there.
class FolderFixture : public ::testing::TestWithParam<Whose> {
protected:
    FolderFixture() : work_(temp_.path() / "work"), folders_(work_, agent(), clock_) {}

    AgentSetup agent() const { return testing::agentIn(temp_.path() / "bin"); }
    static bool isRoot() { return ::geteuid() == 0; }
    static Account account() { return findAccount(GetParam().account).value(); }
    static FolderRef ref(const std::string& key = "gb-test-1-1") {
        return {.key = {key}, .account = GetParam().account};
    }
    void stageEmpty(const FolderRef& folder) {
        const auto staged = folders_.stage(folder, std::vector<StagedFile>{});
        ASSERT_TRUE(staged.ok()) << staged.error().message;
    }
    std::filesystem::path out(const FolderRef& folder, const std::string& name) {
        return folders_.path(folder) / "out" / name;
    }
    Result<ReadChunk> readOne(const FolderRef& folder, const std::string& name,
                              std::int64_t offset = 0, std::size_t limit = 1000) {
        const std::vector<ReadRequest> requests{{folder, name, offset, limit}};
        return folders_.read(requests).at(0);
    }
    static void give(const std::filesystem::path& path) {
        ASSERT_EQ(::lchown(path.c_str(), account().uid, account().gid), 0) << path;
    }
    static void giveAll(const std::filesystem::path& folder) {
        give(folder);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
            give(entry.path());
        }
    }
    static void write(const std::filesystem::path& path, const std::string& content) {
        std::ofstream file(path, std::ios::binary);
        file << content;
        ASSERT_TRUE(file.flush().good()) << path;
        give(path);
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
    static bool isGone(pid_t pid) {
        const auto stat = readProcessStat(pid);
        return !stat || stat->state == 'Z';
    }
    /// Exit code, or 1000 + signal.
    int waitFor(const ProcessId& process) {
        EXPECT_TRUE(
            testing::waitUntil([&] { return isGone(process.pid); }, std::chrono::seconds(20)));
        const auto end = folders_.reap(ref(), process);
        EXPECT_EQ(folders_.reap(ref(), process), ProcessEnd()) << "told once";
        return end.exitCode.value_or(1000 + end.signal.value_or(-2000));
    }

    testing::TempDir temp_;
    std::filesystem::path work_;
    SystemClock clock_;
    AgentFolders folders_;
};

}  // namespace gridbridge::folder
