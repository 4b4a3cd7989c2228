#include "backends/arc/ArcDescription.h"

#include <algorithm>
#include <string_view>

#include "backends/api/SchedulerCommands.h"
#include "bridge/folder/FolderFiles.h"

namespace gridbridge {
namespace {

// Bash reads a function to its end before it runs it: whoever writes the file again, with the same
// bytes, changes nothing. A kill of ARC's `fork` reaches none of these processes.
constexpr std::string_view kProgram = R"gb(#!/bin/bash
# gridbridge: runs one CI job in the folder that ARC made for it.
gb_end() {
  local gb_process
  kill -KILL -- "-$gb_job"
  for gb_process in /proc/[0-9]*; do
    grep -zqsxF "GB_ARC=$gb_mark" "$gb_process/environ" && kill -KILL "${gb_process#/proc/}"
  done
}
gb_is_wanted() { [ -d "$gb_top/in" ] && [ ! -e "$gb_top/in/kill" ]; }
# Once nobody wants the job its own after_script and containers have ten seconds.
gb_watch() {
  local gb_n
  trap '' TERM INT HUP
  while gb_is_wanted; do
    sleep 1
    kill -0 "$gb_main" || kill -0 -- "-$gb_job" || break
  done
  kill -TERM -- "-$gb_job"
  for ((gb_n = 0; gb_n < 50; gb_n++)); do
    kill -0 -- "-$gb_job" && [ -d "$gb_top/in" ] || break
    sleep 0.2
  done
  gb_end
}
gb_run() {
  exec 2>/dev/null </dev/null
  umask 077
  gb_top=$PWD gb_main=$$ gb_mark=$GRID_GLOBAL_JOBID.$$
  mkdir -p out || exit 1
  trap '[ -z "$gb_job" ] || kill -TERM "$gb_job"' TERM INT HUP
  gb_job=
  set -m
  GB_ARC=$gb_mark bash --noprofile --norc in/loader.sh 2>&1 &
  gb_job=$!
  gb_watch >/dev/null &
  gb_watcher=$!
  set +m
  while
    wait "$gb_job"
    gb_code=$?
    kill -0 "$gb_job"
  do :; done
  trap '' TERM INT HUP
  gb_is_wanted || wait "$gb_watcher"
  kill -KILL -- "-$gb_watcher"
  exit "$gb_code"
}
gb_run
)gb";

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

std::string attribute(const char* name, const std::string& value) {
    return std::string("(") + name + "=" + quoted(value) + ")";
}

/// What not every job asks for.
std::string resources(const ArcConfig& config, const Resources& asked) {
    std::string text;
    const auto cpus = std::max<std::int64_t>(asked.cpus.value_or(1), 1);
    if (asked.cpus) {
        text += attribute("count", std::to_string(cpus));
        text += attribute("countpernode", std::to_string(cpus));
    }
    if (asked.memory) {  // ARC counts it for each CPU.
        const auto all = mebibytes(*asked.memory);
        text += attribute("memory", std::to_string((all + cpus - 1) / cpus));
    }
    const auto& queue = asked.queue.empty() ? config.queue : asked.queue;
    return queue.empty() ? text : text + attribute("queue", queue);
}

}  // namespace

std::string arcProgram() {
    return std::string(kProgram);
}

Result<std::string> arcDescription(const ArcConfig& config, const BatchJob& job,
                                   const std::vector<std::string>& inputs, WallTime now) {
    if (!isOurName(job.key.value)) {
        return permanentError("ARC cannot take a job of that name: " + job.key.value);
    }
    std::string files;
    for (const auto& input : inputs) {
        if (auto checked = folder::checkFileName(input); !checked) {
            return checked.error();
        }
        files += "(" + quoted("in/" + input) + " \"\")";
    }
    files += "(" + quoted(kArcProgram) + " \"\")";
    const std::chrono::seconds run = runTime(job, now);
    return "&" + attribute("executable", kArcProgram) + "(inputFiles=" + files + ")" +
           // Without it ARC removes what the job leaves.
           "(outputFiles=(\"/\" \"\"))" + attribute("stdout", "batch.log") +
           attribute("stderr", "batch.log") + attribute("jobName", job.key.value) +
           attribute("walltime", std::to_string(run.count())) + resources(config, job.resources);
}

}  // namespace gridbridge
