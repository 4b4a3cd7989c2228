#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Secret.h"
#include "bridge/gitlab/Client.h"
#include "bridge/gitlab/Dump.h"
#include "bridge/gitlab/Errors.h"
#include "bridge/gitlab/Job.h"

namespace gridbridge::gitlab {

/// What can be said of a runner when it is registered; empty or absent = GitLab's choice.
struct RunnerSettings {
    std::string description = {};
    std::optional<bool> active = {};
    std::optional<bool> locked = {};
    std::optional<bool> runUntagged = {};
    std::vector<std::string> tags = {};
    std::optional<std::chrono::seconds> maximumTimeout = {};  ///< At least 10 minutes.
    std::string accessLevel = {};  ///< `not_protected` or `ref_protected`
    // For GitLab's pages; empty = this library and this machine.
    std::string name = {};
    std::string version = {};
    std::string revision = {};
    std::string platform = {};
    std::string architecture = {};
    std::string executor = {};
};

/// A runner as GitLab knows it: claims jobs. One thread at a time; its jobs may outlive it.
class Runner {
public:
    /// With a registration token GitLab makes a runner with these settings (legacy, off in newer
    /// servers). A `glrt-` token is that of a runner somebody made in GitLab: it is verified, and
    /// settings that differ from GitLab's defaults are refused, since GitLab has them. Throws
    /// AuthError for a token that GitLab does not know, Unreachable (a runner may have been made),
    /// or RunnerError.
    static Runner registerWith(const std::string& apiUrl, const Secret& token,
                               const RunnerSettings& settings = {}, ClientOptions options = {});
    /// Reads what dump() or the Python package wrote, without a call to the server. Throws
    /// RunnerError when it is something else, FileError when there is no such file.
    static Runner load(const std::filesystem::path& file, ClientOptions options = {});
    static Runner loads(const Secret& text, ClientOptions options = {});

    /// Writes the runner, its token too: replaces the file at once and whole, 0600.
    void dump(const std::filesystem::path& file) const;
    Secret dumps() const { return textOf(dump_); }

    /// Throws AuthError when GitLab does not know the token, Unreachable when it cannot be asked
    /// now, RunnerError when what answers is no GitLab.
    void checkAuth();
    /// The next job, which is this program's from then on: dump() it before anything else. None
    /// when there is none. Throws AuthError, Unreachable, or RunnerError: also for a job that
    /// cannot be understood, which GitLab is told as runner_system_failure.
    std::optional<Job> requestJob();

    const std::string& apiUrl() const { return dump_.apiUrl; }
    std::int64_t id() const { return dump_.id; }
    const Secret& token() const { return dump_.token; }
    /// Only right after registerWith(): afterwards it is GitLab's, and no runner can ask.
    std::optional<bool> active() const { return settings_.active; }
    std::optional<bool> locked() const { return settings_.locked; }
    std::optional<bool> runUntagged() const { return settings_.runUntagged; }
    const std::vector<std::string>& tags() const { return settings_.tags; }
    std::optional<std::chrono::seconds> maximumTimeout() const { return settings_.maximumTimeout; }
    const std::string& name() const { return settings_.name; }
    const std::string& description() const { return settings_.description; }
    const std::string& version() const { return settings_.version; }
    const std::string& revision() const { return settings_.revision; }
    const std::string& platform() const { return settings_.platform; }
    const std::string& architecture() const { return settings_.architecture; }
    const std::string& executor() const { return settings_.executor; }

private:
    Runner(std::shared_ptr<Client> client, RunnerDump dump, RunnerSettings settings);
    VerifyAnswer verify();
    RunnerIdentity identity() const;
    std::string greeting() const;
    void refuseUnreadable(const std::string& body);

    std::shared_ptr<Client> client_;
    RunnerDump dump_;
    RunnerSettings settings_;
    std::string lastUpdate_;
};

}  // namespace gridbridge::gitlab
