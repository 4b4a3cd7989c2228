#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "backends/api/SchedulerBackend.h"
#include "backends/api/SharedFolder.h"

// The worked example of docs/backend-contract.md, which shows this code.
namespace gridbridge::testing {

/// A job as `exampleq queue` shows it.
struct ExampleJob {
    RemoteId id;
    std::string state;  ///< Its word.
    int exit = 0;       ///< 128 + n: it died of signal n.
    WallTime submittedAt{};
};
struct ExampleListing {
    std::map<std::string, ExampleJob> jobs = {};  ///< Ours, by name.
    std::string trouble = {};                     ///< As in SchedulerQueue.
};

inline bool isExampleId(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

inline ExampleListing parseExampleQueue(const std::string& out) {
    ExampleListing listing;
    std::istringstream lines(out);
    std::size_t count = 0;
    bool isWhole = false;
    for (std::string line; std::getline(lines, line);) {
        ExampleJob job;
        std::string name;
        std::int64_t submitted = 0;
        std::istringstream words(line);
        words >> job.id.value >> name >> job.state >> job.exit >> submitted;
        const bool isState = job.state == "WAITING" || job.state == "RUNNING" ||
                             job.state == "ENDED" || job.state == "CANCELLED";
        const auto time = wallTimeOf(submitted);
        if (line == "total " + std::to_string(count)) {
            isWhole = true;
        } else if (!words || !words.eof() || !isExampleId(job.id.value) || !isState || !time) {
            listing.trouble = "exampleq queue printed \"" + lastLineOf(line) + "\"";
        } else if (++count; isOurName(name)) {
            job.submittedAt = *time;
            listing.jobs[name] = job;
        }
    }
    if (!isWhole && listing.trouble.empty()) {
        listing.trouble = "exampleq queue printed a part of its list";
    }
    return listing;
}

inline Result<Submission> parseExampleSubmission(const Finished& said, WallTime now) {
    const auto line = lastLineOf(said.out);
    if (said.exitCode == 0 && said.out == line + "\n" && isExampleId(line)) {
        return Submission{.accepted = Accepted{{line}, now}, .full = {}};
    }
    const auto why = lastLineOf(said.err);
    return why.starts_with("exampleq: refused: ") ? permanentError(why)
                                                  : uncertainError("exampleq submit: " + why);
}

inline Observation observationOf(const ExampleJob& job, const FolderMarks& marks) {
    Observation seen;
    seen.started = marks.started;
    if (job.state == "WAITING") {
        seen.state = BatchState::Pending;
        seen.reason = "both slots are taken";
    } else if (job.state == "RUNNING") {
        seen.state = BatchState::Running;
    } else if (job.state == "CANCELLED") {
        seen.state = BatchState::Ended;
        seen.cause = marks.removed ? EndCause::RemovedByUs : EndCause::RemovedByOther;
    } else {
        seen.state = BatchState::Ended;
        seen.cause = EndCause::Exited;
        (job.exit > 128 ? seen.signal : seen.exitCode) = job.exit > 128 ? job.exit - 128 : job.exit;
    }
    return seen;
}

struct ExampleConfig {
    std::string binDir = {};  ///< Where exampleq is besides the usual folders.
};

class ExampleBackend final : public SchedulerBackend {
public:
    ExampleBackend(const ExampleConfig& config, std::string runAs, folder::JobFolders& folders,
                   ProcessRunner& runner, Clock& clock, Teller tell)
        : SchedulerBackend(std::move(runAs), folders, {.binDir = config.binDir}, runner, clock,
                           std::move(tell)) {}

    Capabilities capabilities() const override {
        return {.maxSubmit = 10,  // Each is a command, and polls wait for their turn behind them.
                .liveLog = true,
                .softCancel = true,
                .sharedFolder = true,
                .findsByKey = true,
                .visibilityDelay = std::chrono::seconds(60)};
    }
    Result<void> probe(const CallContext& ctx) override {
        const auto listing = list(runAs_, ctx);
        return listing ? Result<void>() : listing.error();
    }
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override {
        const auto known = [](const BatchJob& job, const SchedulerQueue& queue) {
            const auto at = queue.jobs.find(job.key.value);
            return at == queue.jobs.end()
                       ? std::nullopt
                       : std::optional(Accepted{at->second.id, at->second.submittedAt});
        };
        return submitEach(ctx, jobs, known,
                          [&](const BatchJob& job) { return submitOne(job, ctx); });
    }
    Result<std::vector<Observation>> observe(const CallContext& outer,
                                             std::span<const JobRef> refs) override {
        return observeEach(
            outer, refs,
            [&](const CallContext& ctx, const Place& place, const std::vector<std::size_t>& indices,
                std::vector<Observation>& seen) -> Result<void> {
                const auto listing = list(place.account, ctx);  // Before the folders' marks.
                if (!listing) {
                    return listing.error();
                }
                std::vector<JobRef> jobs;
                for (const auto i : indices) {
                    jobs.push_back(refs[i]);
                }
                const auto marks = readMarks(folders_, jobs);
                for (std::size_t n = 0; n < jobs.size(); ++n) {
                    const auto i = indices[n];
                    const auto known = listing->jobs.find(jobs[n].key.value);
                    if (known != listing->jobs.end()) {
                        seen[i] = observationOf(known->second, marks[n]);
                    } else if (listing->trouble.empty()) {
                        seen[i].state = BatchState::Absent;
                    } else {
                        seen[i].reason = listing->trouble;  // And its state remains Unknown.
                    }
                }
                return {};
            });
    }

private:
    Result<ExampleListing> list(const std::string& account, const CallContext& ctx) {
        const auto said = commands_.run({account, {"exampleq", "queue"}}, ctx);
        if (!said) {
            return withoutEffect(said.error());
        }
        if (said->exitCode != 0) {
            return transientError("exampleq queue: " + lastLineOf(said->err));
        }
        auto listing = parseExampleQueue(said->out);
        tellOnce({account}, "exampleq queue", listing.trouble);
        return listing;
    }
    Result<SchedulerQueue> queueAt(const Place& place, const CallContext& ctx) override {
        const auto listing = list(place.account, ctx);
        if (!listing) {
            return listing.error();
        }
        using Phase = QueuedJob::Phase;
        SchedulerQueue queue{{}, listing->trouble};
        for (const auto& [name, job] : listing->jobs) {
            const auto phase = job.state == "WAITING"   ? Phase::Waiting
                               : job.state == "RUNNING" ? Phase::Running
                                                        : Phase::Ended;
            queue.jobs[name] = {job.id, job.submittedAt, phase, phase == Phase::Waiting};
        }
        return queue;
    }
    Result<SchedulerQueue> search(const Place& place, const std::vector<std::string>& /*keys*/,
                                  const CallContext& ctx) override {
        return queueAt(place, ctx);  // It lists the ended, too.
    }
    Result<Submission> submitOne(const BatchJob& job, const CallContext& ctx) {
        const auto files = filesOf(folders_, job);
        if (!files) {
            return files.error();
        }
        const folder::FolderRef folder{job.key, job.account};
        if (auto made = folders_.stage(folder, *files); !made) {
            return made.error();
        }
        const auto script = (folders_.path(folder) / "in" / kLoaderName).string();
        const auto said =
            commands_.run({job.account, {"exampleq", "submit", job.key.value, script}}, ctx);
        return said ? parseExampleSubmission(*said, clock_.wallNow())
                    : Result<Submission>(submissionError(said.error()));
    }
    std::vector<Result<void>> remove(const Place& place, const std::vector<JobRef>& jobs,
                                     bool onlyWaiting, const CallContext& ctx) override {
        std::vector<Result<void>> results;
        for (const auto& job : jobs) {
            markRemoved(folders_, job);
            std::vector<std::string> words{"exampleq", "cancel", job.id.value};
            if (onlyWaiting) {
                words.insert(words.end() - 1, "--waiting");
            }
            const auto said = commands_.run({place.account, words}, ctx);
            if (!said) {
                results.emplace_back(said.error());
            } else if (said->exitCode == 0) {
                results.emplace_back();
            } else {
                results.emplace_back(uncertainError("exampleq cancel: " + lastLineOf(said->err)));
            }
        }
        return results;
    }
};

}  // namespace gridbridge::testing
