#pragma once

#include <string>
#include <vector>

#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Settings.h"

namespace gridbridge::payload {

struct WrapperPlan {
    std::string slug;                ///< The project folder below the builds folder.
    std::vector<std::string> steps;  ///< Stage names in order.
    bool hasAfterScript = false;
    std::vector<std::string> tarballs;  ///< In `out/`, that may appear.
    bool collectsOnSuccess = false;
    bool collectsOnFailure = false;
    bool sections = false;
};

/// `in/job.sh`: runs the stages one after the other, watches cancel flag, limits and signals, and
/// leaves `out/log` and `out/status` (job-execution 11.1, 11.2).
std::string wrapperScript(const WrapperPlan& plan, const Settings& settings,
                          const ScriptContext& context);

/// What the batch system runs; see BatchJob::loader.
std::string loaderScript();

}  // namespace gridbridge::payload
