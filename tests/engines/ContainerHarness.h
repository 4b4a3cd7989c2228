#pragma once

#include <gmock/gmock.h>

#include "tests/e2e/AccountEndToEnd.h"
#include "tests/engines/ContainerEngine.h"

namespace gridbridge::testing {

inline constexpr const char* kSmall = "localhost/gridbridge/small";
/// GitLab says with the next piece of a log that the job is cancelled, and else every 30 seconds.
inline constexpr const char* kPrinting = "while sleep 0.5; do echo tick; done";
inline constexpr const char* kPassword = "pass-word-of-bot";

/// Jobs of the local backend as an account that can run containers.
class ContainerJobs : public AccountEndToEnd {
protected:
    void startWith(const std::string& runtime) {
        service->configure(
            "", "run_as = \"" + engine.account() + "\"\ncontainer = \"" + runtime + "\"\n");
        start();
    }
    static bool hadNoContainer(const fakegitlab::JobSnapshot& job) {
        return job.status == fakegitlab::Status::Failed &&
               lastLine(job).find("its image could not be pulled or started") != std::string::npos;
    }
    /// Processes of the account that run this program.
    std::string processes(const std::string& program) {
        return engine.run("pgrep -U " + engine.account() + " -fx '" + program + "'").out;
    }
    /// What GitLab sends with a job that may read the registry.
    std::string login() {
        return R"({"credentials":[{"type":"registry","url":")" + engine.registry() +
               R"(","username":"bot","password":")" + kPassword + "\"}]}";
    }

    ContainerEngine& engine = static_cast<ContainerEngine&>(Engine::get());
};

}  // namespace gridbridge::testing
