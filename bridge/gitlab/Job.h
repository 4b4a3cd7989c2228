#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Secret.h"
#include "bridge/gitlab/Client.h"
#include "bridge/gitlab/Errors.h"
#include "bridge/gitlab/FailureReason.h"
#include "bridge/gitlab/JobDescription.h"
#include "bridge/gitlab/JobLog.h"

namespace gridbridge::gitlab {

/// A job that a Runner claimed, from the claim to the verdict. One thread at a time; different
/// jobs are independent of each other and of their runner. Its destructor says nothing to GitLab.
class Job {
public:
    /// Reads what dump() or the Python package wrote, without a call to the server. Throws
    /// RunnerError when it is something else, FileError when there is no such file.
    static Job load(const std::filesystem::path& file, ClientOptions options = {});
    static Job loads(const Secret& text, ClientOptions options = {});
    Job(Job&&) noexcept;
    Job& operator=(Job&&) noexcept;
    ~Job();

    /// Writes all of the job, its tokens too: replaces the file at once and whole, 0600.
    void dump(const std::filesystem::path& file) const;
    Secret dumps() const;

    JobLog& log();
    const JobLog& log() const;
    /// A sign of life: GitLab ends jobs that are silent for long, so call it every half minute
    /// while the job runs. Sends what waits of the log. Throws AuthError, JobCancelled,
    /// AlreadyFinished, or Unreachable.
    void auth();
    /// The verdict. Sends the rest of the log and repeats for ten minutes what a failing server
    /// does not take. Throws AlreadyFinished after an earlier verdict, JobCancelled, AuthError, or
    /// Unreachable: then the job still runs, and the call may be repeated.
    void setSuccess();
    /// As setSuccess(). A reason that this server does not list becomes the nearest one it does;
    /// `exitCode` is 1 to 32767.
    void setFailed(FailureReason reason = FailureReason::UnknownFailure,
                   std::optional<int> exitCode = {});

    std::int64_t id() const { return description().id; }
    const Secret& token() const { return description().token; }
    /// `running`, `success` or `failed`.
    const std::string& state() const;
    /// In GitLab's order: the later of two with one key wins.
    const std::vector<JobVariable>& variables() const { return description().variables; }
    std::string username() const { return description().userLogin; }
    std::string projectUrl() const { return predefined("CI_PROJECT_URL"); }
    std::string projectPath() const { return description().projectPath; }
    std::string projectName() const { return predefined("CI_PROJECT_NAME"); }
    std::string ref() const { return description().git.ref; }
    bool isBranch() const { return description().git.refType == "branch"; }
    /// Without credentials; the variable CI_REPOSITORY_URL has them.
    std::string repoUrl() const { return description().git.repoUrl; }
    std::string name() const { return description().name; }
    std::string stage() const { return description().stage; }
    std::string jobUrl() const { return description().url; }
    std::string pipelineUrl() const { return predefined("CI_PIPELINE_URL"); }
    std::string commitSha() const { return description().git.sha; }
    std::string commitMessage() const { return predefined("CI_COMMIT_MESSAGE"); }
    std::int64_t pipelineId() const;
    /// Lines of the step `script`; of `after_script`, which may be none.
    std::vector<std::string> script() const { return step("script"); }
    std::vector<std::string> afterScript() const { return step("after_script"); }
    /// How to pull `image`: the credential whose registry is the longest beginning of its name.
    std::optional<RegistryCredential> registryCredential(std::string_view image) const;
    /// All the rest that GitLab said of the job.
    const JobDescription& description() const;

private:
    friend class Runner;
    struct Impl;
    explicit Job(std::unique_ptr<Impl> impl);
    static Job claimed(std::shared_ptr<Client> client, const Secret& runnerToken,
                       const Secret& runner, const std::string& greeting, Secret body);
    void acknowledge();
    struct Attempt {
        bool done = false;  ///< GitLab has the verdict.
        Millis pause{};
        std::string why = {};
        bool lost = false;  ///< An answer was lost: the verdict may have been taken.
    };
    void finish(const FinalReport& verdict);
    Attempt report(FinalReport verdict, bool lost);
    std::string predefined(std::string_view key) const;
    std::vector<std::string> step(std::string_view name) const;

    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::gitlab
