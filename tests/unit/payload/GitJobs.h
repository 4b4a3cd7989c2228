#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/unit/payload/ScriptRun.h"

namespace gridbridge::payload {

constexpr auto kProject = "physics/detector";

/// Real repositories behind a server that wants the token of a running job of kProject.
class GitJobs : public ::testing::Test {
protected:
    /// `root`: GitLab's path on its site.
    explicit GitJobs(std::string root = {}) : root_(std::move(root)) {}
    void SetUp() override;
    void TearDown() override;

    /// A commit of these files, beside those of earlier commits to that project; its sha.
    std::string commit(const std::string& project, const std::map<std::string, std::string>& files);
    /// In the next commit to `project` the folder `name` is a submodule at that commit.
    void addSubmodule(const std::string& project, const std::string& name, const std::string& sha);

    /// Its sources are the commit sha_, with depth 1.
    gitlab::JobDescription job(std::vector<std::string> script);
    /// The job finds a `name` that does these lines and then is the real one.
    void putBefore(gitlab::JobDescription& job, const std::string& name, const std::string& lines);

    SystemClock clock_;
    std::filesystem::path top_;
    std::optional<fakegitlab::FakeGitLab> server_;
    std::string sha_;
    std::string token_;

private:
    std::filesystem::path workOf(const std::string& project) const {
        return top_ / "work" / project;
    }

    std::string root_;
};

}  // namespace gridbridge::payload
