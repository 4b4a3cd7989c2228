#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

/// Bare git repositories `<folder>/<group>/<project>.git`, made and served by the git programs.
/// Safe for concurrent use.
class Repositories {
public:
    /// `folder` is created; empty = no git at all.
    explicit Repositories(std::filesystem::path folder);

    bool has(const std::string& project) const;
    /// Puts the files of `directory` as a new commit on top of `ref` and returns its sha.
    /// Makes the repository when it is not there. Files to which .gitattributes give `filter=lfs`
    /// become pointers and LFS objects; git-lfs is not needed. submodulesOf(), whose folders are
    /// not there, are then at the newest commit of the `main` of their projects.
    /// Throws std::runtime_error when git fails.
    std::string commit(const std::string& project, const std::filesystem::path& directory,
                       const std::string& ref = "main");
    /// Path and project of each submodule in the `.gitmodules` of `directory`, the files of
    /// `project`, whose address is relative.
    static std::map<std::string, std::string> submodulesOf(const std::string& project,
                                                           const std::filesystem::path& directory);
    /// The newest commit of `ref`, with a pipeline whose `refs/pipelines/<id>` is set. Projects
    /// without a repository get a commit that nobody can fetch.
    GitPoint pointFor(const std::string& project, const std::string& ref);
    /// The bytes of an LFS object, from the repository's own store `lfs/objects`; nullopt = none.
    std::optional<std::string> lfsObject(const std::string& project, const std::string& oid) const;
    /// One request of git's smart HTTP protocol, already authorized; path without the root.
    Reply serve(const Request& request, const std::string& path) const;

private:
    std::filesystem::path pathOf(const std::string& project) const;
    std::string git(const std::string& project, std::vector<std::string> arguments,
                    std::map<std::string, std::string> more = {}) const;

    std::filesystem::path folder_;
    std::mutex mutex_;
    std::map<std::string, std::int64_t> pipelines_;  ///< By project and commit.
    std::int64_t nextPipeline_ = 70001;
};

}  // namespace gridbridge::fakegitlab
