#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "bridge/app/Config.h"
#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::app {

using TokenVerifier = std::function<gitlab::VerifyAnswer(const RunnerConfig&)>;
using BackendProbe = std::function<Result<void>(const BackendConfig&)>;

/// What commands use of the world. All references must outlive it.
struct CommandWorld {
    std::ostream& out;
    std::ostream& err;
    Clock& clock;
    Host host;
    TokenVerifier verifyToken;
    BackendProbe probeBackend;
    std::function<int(const Config&)> runService;
};

/// Parses `arguments` (without the program's name), does what they ask, and returns the exit code.
/// Failures are one sentence on `err` each; nothing is thrown.
int runCommandLine(const std::vector<std::string>& arguments, const CommandWorld& world);

/// `ID` or `RUNNER/ID`, as people name a job.
struct JobName {
    std::string runner = {};  ///< Empty = any.
    std::int64_t id = 0;
};
std::optional<JobName> parseJobName(const std::string& text);

struct JobsRequest {
    store::JobFilter filter;
    bool json = false;
};

/// The commands themselves; each returns the exit code and may throw store::StoreError.
int listJobs(const std::filesystem::path& config, const JobsRequest& request,
             const CommandWorld& world);
int showJob(const std::filesystem::path& config, const JobName& job, bool json,
            const CommandWorld& world);
int printLog(const std::filesystem::path& config, const JobName& job, bool follow,
             const CommandWorld& world);
int checkInstallation(const std::filesystem::path& config, const CommandWorld& world);
int runService(const std::filesystem::path& config, const CommandWorld& world);

/// The one that `job` names, the newest where one runner has used the id twice. Permanent error:
/// there is none, or it could be several.
Result<store::JobRecord> chooseJob(const JobName& job, std::vector<store::JobRecord> candidates);

/// How far a trace may be shown: bytes behind `length` may still change.
struct TraceExtent {
    std::int64_t length = 0;
    bool done = false;
};

/// Writes `file` from its start to `out` and, until `look` says done, what it gains, looking once
/// a second. Permanent error: there are no such bytes.
Result<void> followTrace(const std::filesystem::path& file,
                         const std::function<TraceExtent()>& look, Clock& clock, std::ostream& out);

}  // namespace gridbridge::app
