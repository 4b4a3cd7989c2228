#pragma once

#include <string>
#include <vector>

#include "bridge/payload/Container.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Settings.h"
#include "bridge/payload/Stages.h"

namespace gridbridge::payload {

struct WrapperPlan {
    std::string slug;                  ///< The project folder below the builds folder.
    std::vector<Stage> stages;         ///< By phase; within one in the order in which they run.
    std::vector<std::string> outputs;  ///< In `out/`, that may appear.
    bool sections = false;
    std::string project;  ///< One name for each project of each server, for a folder.
    Container container = {};
    Site site = {};  ///< Of the backend, as far as it is for this job.
};

/// `in/job.sh`: runs the stages one after the other, watches cancel flag, limits and signals, and
/// leaves `out/log` and `out/status` (job-execution 11.1, 11.2).
std::string wrapperScript(const WrapperPlan& plan, const Settings& settings,
                          const ScriptContext& context);

/// What the batch system runs; see BatchJob::loader.
std::string loaderScript();

}  // namespace gridbridge::payload
