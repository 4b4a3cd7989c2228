#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/fakegitlab/FakeGitLab.h"

namespace gridbridge::fakegitlab {

/// How a job must end; what is not said is not compared.
struct Expectation {
    std::optional<std::string> state = {};
    std::optional<std::string> reason = {};
    std::optional<int> exitCode = {};
    std::vector<std::string> logContains = {};
    std::optional<std::vector<std::string>> artifacts = {};  ///< File names, in any order.
    /// What the archive holds, by the names of its members: the text, or `sha256:` and its hash.
    /// Members that are not named here are not looked at.
    std::map<std::string, std::string> files = {};
    std::map<std::string, std::string> reports = {};  ///< The same of reports, by their type.
};

/// One `*.toml` of a job folder; README.md in this folder documents its keys.
struct JobFile {
    std::string file = {};  ///< Name without folder.
    JobSpec spec = {};
    std::vector<std::string> needs = {};  ///< Names of jobs whose artifacts it gets.
    Expectation expect = {};
};

struct JobFolder {
    std::vector<std::string> stages = {};  ///< In order.
    std::vector<JobFile> jobs = {};        ///< Sorted by stage, then by file name.
};

/// Reads one job file. Throws std::runtime_error with file, line where known, key and cure.
JobFile readJobFile(const std::filesystem::path& path);

/// Reads all job files of a folder and its optional `stages.toml`.
/// Throws like readJobFile, also when there is no job file.
JobFolder readJobFolder(const std::filesystem::path& folder);

}  // namespace gridbridge::fakegitlab
