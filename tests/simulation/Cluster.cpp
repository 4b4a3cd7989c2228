#include "tests/simulation/Cluster.h"

#include "bridge/base/Check.h"

namespace gridbridge::simulation {

SimulatedWork PlannedWorkload::work(const SubmissionKey& key) {
    const auto& job = *truths_.at(key).job;
    auto& log = logs_[key];
    if (log.empty()) {
        const auto token = gitlab_.job(ids_.at(job.name)).token;
        constexpr std::string_view kPlace = "@TOKEN@";
        log = job.raw;
        for (auto at = log.find(kPlace); at != std::string::npos; at = log.find(kPlace, at)) {
            log.replace(at, kPlace.size(), token);
        }
    }
    SimulatedWork work;
    work.log = log;
    work.printTime = job.printTime;
    work.runTime = job.runTime;
    work.farewell = kFarewell;
    return work;
}

std::string PlannedWorkload::status(const SubmissionKey& key, const SimulatedVerdict& verdict) {
    auto& truth = truths_.at(key);
    truth.left = verdict;
    return wrapperStatus(key, verdict, truth.job->exitCode);
}

std::vector<Result<Submission>> DistantBackend::submit(const CallContext& ctx,
                                                       std::span<const BatchJob> jobs) {
    std::vector<BatchJob> taken(jobs.begin(), jobs.end());
    for (auto& job : taken) {
        // `project:name:user`
        const auto from = job.label.find(':') + 1;
        const auto name = job.label.substr(from, job.label.find(':', from) - from);
        for (const auto& planned : plan_.jobs) {
            if (planned.name == name) {
                truths_[job.key].job = &planned;
            }
        }
        BRIDGE_CHECK(truths_[job.key].job != nullptr);
        if (truths_[job.key].job->unlimited) {
            job.deadline += std::chrono::hours(24);
        }
    }
    return slowly([&] { return real_.submit(ctx, taken); });
}

}  // namespace gridbridge::simulation
