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

Capabilities DistantBackend::capabilities() const {
    auto abilities = real_.capabilities();
    if (plan_.apart) {
        abilities.liveLog = abilities.softCancel = abilities.sharedFolder = false;
        abilities.filesByCollect = true;
    }
    return abilities;
}

std::vector<Result<LogChunk>> DistantBackend::readLogs(const CallContext& ctx,
                                                       std::span<const LogRequest> requests) {
    auto chunks = slowly([&] {
        auto here = real_.readLogs(ctx, requests);
        for (std::size_t i = 0; i < here.size(); ++i) {
            if (plan_.apart && here[i].ok() && !truths_.at(requests[i].ref.key).fetched) {
                here[i] = LogChunk{};
            }
        }
        return here;
    });
    for (auto& chunk : chunks) {
        chunk = defect_.read(std::move(chunk));
    }
    return chunks;
}

std::vector<Result<CancelOutcome>> DistantBackend::cancel(const CallContext& ctx,
                                                          std::span<const CancelRequest> requests) {
    std::vector<CancelRequest> all(requests.begin(), requests.end());
    for (auto& request : all) {
        request.kind = plan_.apart ? CancelKind::Hard : request.kind;
    }
    return slowly([&] { return real_.cancel(ctx, all); });
}

std::vector<Result<CollectOutcome>> DistantBackend::fetch(const CallContext& ctx,
                                                          std::span<const JobRef> refs) {
    auto outcomes = real_.collect(ctx, refs);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        if (!outcomes[i].ok() || *outcomes[i] == CollectOutcome::NotYet) {
            continue;
        }
        if (*outcomes[i] == CollectOutcome::Never) {
            outcomes[i] = transientError("the job is not listed");
        } else if (dice_.chance(plan_.backendFaults / 4)) {
            outcomes[i] = transientError("the fetch broke off");
        } else {
            truths_.at(refs[i].key).fetched = true;
        }
    }
    return outcomes;
}

std::vector<Result<CollectOutcome>> DistantBackend::collect(const CallContext& ctx,
                                                            std::span<const JobRef> refs) {
    return slowly([&] { return plan_.apart ? fetch(ctx, refs) : real_.collect(ctx, refs); });
}

}  // namespace gridbridge::simulation
