#pragma once

#include "tests/contract/BackendContract.h"

namespace gridbridge::testing {

/// A job of the suite for a backend that runs shell scripts in the submission's folder; it ends
/// when `go` is there.
inline BatchJob scriptedJob(const std::string& key, const std::string& account, const JobPlan& plan,
                            const std::string& go = "out/go") {
    std::string script = plan.ignoresTerm ? "trap '' TERM\n" : "";
    script += "cat in/payload\n";
    if (plan.held) {
        script += "while [ ! -e '" + go + "' ] && [ ! -e in/cancel ]; do sleep 0.02; done\n";
    }
    script += "[ ! -e in/cancel ] || printf canceled\n";
    if (!plan.status.empty()) {
        script += "cp in/status out/status.part; mv out/status.part out/status\n";
    }
    script += plan.signal ? "kill -" + std::to_string(*plan.signal) + " $$\n"
                          : "exit " + std::to_string(plan.exitCode) + "\n";
    BatchJob result;
    result.key = {key};
    result.account = account;
    result.inputs = {{"plan.sh", script}, {"payload", plan.output}, {"status", plan.status}};
    result.loader =
        "cd '@FOLDER@' || exit 70\n"
        "( set -C; : >out/started ) 2>/dev/null || exit 71\n"
        "echo >>out/starts\n"
        "exec >out/log 2>&1\n"
        ". in/plan.sh\n";
    return result;
}

}  // namespace gridbridge::testing
