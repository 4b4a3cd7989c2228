#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"

namespace gridbridge::gitlab {

// The files of the Python package gitlab_runner_api, version 1: JSON lists, read and written so
// that either program can go on with what the other one left.

/// A runner: `[1, api_url, id, token, data]`.
struct RunnerDump {
    std::string apiUrl = {};
    std::int64_t id = 0;
    Secret token = {};
    std::string data = {};  ///< JSON object of what was said at the registration.
};

/// A claimed job: `[1, runner, job_info, state, log]`.
struct JobDump {
    Secret runner = {};      ///< The text of a RunnerDump.
    Secret jobInfo = {};     ///< The body with which GitLab handed out the job.
    std::string state = {};  ///< running, success, failed
    std::string log = {};    ///< UTF-8
};

/// Permanent with one sentence, which holds nothing of the text, when it is something else.
Result<RunnerDump> readRunnerDump(std::string_view text);
Result<JobDump> readJobDump(std::string_view text);

Secret textOf(const RunnerDump& runner);
Secret textOf(const JobDump& job);

/// A whole file. Throws FileError.
Secret readDumpFile(const std::filesystem::path& file);
/// Replaces the file at once and whole, 0600. Throws FileError.
void writeDumpFile(const std::filesystem::path& file, const Secret& text);

}  // namespace gridbridge::gitlab
