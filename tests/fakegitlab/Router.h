#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "tests/fakegitlab/Answers.h"
#include "tests/fakegitlab/Endpoints.h"
#include "tests/fakegitlab/Repositories.h"
#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

/// One request in, one answer out: faults, rules, strict bookkeeping. Safe for concurrent use.
class Router {
public:
    /// Both must outlive the router.
    Router(State& state, const Repositories& repositories)
        : state_(state), repositories_(repositories) {}

    /// Blocks only for long polling and for git.
    Reply handle(const Request& request);
    /// What was answered so far; needs the state's mutex.
    const Answers& answers() const { return answers_; }

private:
    /// What a request is about.
    struct Target {
        Call call = Call::Other;
        std::vector<std::string> parts = {};  ///< What follows /api/v4/, split at slashes.
        JobId job = 0;
        std::string path = {};  ///< Without the relative root.
    };
    Target targetOf(const Request& request);
    JobState* callersJob(const Request& request, const Target& target);
    void arrival(JobState& job, const Request& request, const Target& target);
    std::optional<Reply> faultBefore(Call call);
    Reply dispatch(const Request& request, const Target& target,
                   std::unique_lock<std::mutex>& lock);
    Reply git(const Request& request, const Target& target, std::unique_lock<std::mutex>& lock);
    void faultAfter(Call call, Reply& reply);
    void departure(const Request& request, const Target& target, const Reply& reply);
    void record(const Request& request, const Target& target, const Reply& reply);

    State& state_;
    const Repositories& repositories_;
    Answers answers_;
};

}  // namespace gridbridge::fakegitlab
