#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/JobScript.h"

namespace gridbridge::payload {

/// A job whose script consists of these items; without git.
gitlab::JobDescription jobWith(std::vector<std::string> script,
                               std::vector<std::string> afterScript = {});
/// A context with an hour left.
ScriptContext contextNow();
void setVariable(gitlab::JobDescription& job, const std::string& key, const std::string& value);

/// An entry of `artifacts` for these paths, wanted on success.
gitlab::ArtifactEntry archiveOf(std::vector<std::string> paths);

/// A submission's folder in which the generated script really runs, as a batch system would run
/// it. Removed at the end.
class ScriptRun {
public:
    /// Stages the files of `makeScript`; fails the test when it refuses the job.
    explicit ScriptRun(const gitlab::JobDescription& job,
                       const ScriptContext& context = contextNow());
    ~ScriptRun();
    ScriptRun(const ScriptRun&) = delete;
    ScriptRun& operator=(const ScriptRun&) = delete;

    /// Replaces a constant of the wrapper, for limits that would be too long for a test.
    void shorten(const std::string& constant, int value);
    /// Runs the loader in a session of its own until it has ended; its exit code. Fails the test
    /// and kills it when it takes longer than a minute.
    int run();
    void setEnvironment(const std::string& name, const std::string& value);

    const std::filesystem::path& folder() const { return folder_; }
    /// Where scratch folders are made.
    std::filesystem::path scratch() const { return folder_.parent_path() / "scratch"; }
    std::string file(const std::string& relative) const;
    bool exists(const std::string& relative) const {
        return std::filesystem::exists(folder_ / relative);
    }
    std::string log() const { return file("out/log"); }
    /// The log without escape sequences, the columns of tool lines and section lines.
    std::string text() const;
    /// Fails the test and gives an empty one when the file cannot be understood.
    Status status() const;
    const JobScript& script() const { return script_; }

private:
    int ended(pid_t pid);

    std::filesystem::path folder_;
    JobScript script_;
    std::map<std::string, std::string> environment_;
    std::string nonce_;
};

}  // namespace gridbridge::payload
