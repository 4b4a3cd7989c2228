#include "backends/command/CommandBackend.h"

#include <algorithm>
#include <charconv>

#include "bridge/folder/Account.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// In the job's `in/`: when it was submitted, seconds since 1970; and the id that it was given.
constexpr const char* kSubmitted = "submitted";
constexpr const char* kAccepted = "accepted";

std::string userOf(const std::string& account) {
    const auto known = folder::findAccount(account);
    return known ? known->name : account;
}

bool asksById(const CommandConfig& config) {
    return std::any_of(config.result.begin(), config.result.end(), [](const std::string& word) {
        return word.find("{id}") != std::string::npos;
    });
}

CommandValues valuesOf(const SubmissionKey& key, const RemoteId& id, const std::string& account) {
    return {{"id", id.value}, {"name", key.value}, {"user", userOf(account)}};
}

SchedulerQueue queueOf(const CommandListing& listing) {
    using Phase = QueuedJob::Phase;
    SchedulerQueue queue{{}, listing.trouble};
    for (const auto& [name, job] : listing.jobs) {
        const auto phase = job.state == BatchState::Running                ? Phase::Running
                           : job.state == BatchState::Ended && !job.failed ? Phase::Ended
                                                                           : Phase::Waiting;
        queue.jobs.emplace(name, QueuedJob{job.id, {}, phase, phase == Phase::Waiting});
    }
    return queue;
}

}  // namespace

CommandBackend::CommandBackend(CommandConfig config, std::string runAs, folder::JobFolders& folders,
                               ProcessRunner& runner, Clock& clock, Teller tell)
    : SchedulerBackend(std::move(runAs), folders,
                       {.binDir = config.binDir, .variables = config.environment}, runner, clock,
                       std::move(tell)),
      config_(std::move(config)),
      parser_(config_) {}

Capabilities CommandBackend::capabilities() const {
    // A server that hangs takes what it was sent when it goes on, accounts are written late, and a
    // network file system shows the status file as late.
    return {.maxBatch = 10'000,
            .maxSubmit = 10,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .visibilityDelay = seconds(60)};
}

Result<CommandListing> CommandBackend::queue(const std::string& account, const CallContext& ctx) {
    const auto said =
        commands_.run({account, filled(config_.status, {{"user", userOf(account)}})}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    auto listing = parser_.listing(*said);
    if (listing) {
        tellOnce({account}, config_.status.front(), listing->trouble);
    }
    return listing;
}

Result<SchedulerQueue> CommandBackend::queueAt(const Place& place, const CallContext& ctx) {
    const auto listing = queue(place.account, ctx);
    return listing ? Result<SchedulerQueue>(queueOf(*listing)) : listing.error();
}

Result<SchedulerQueue> CommandBackend::search(const Place& place,
                                              const std::vector<std::string>& keys,
                                              const CallContext& ctx) {
    auto queue = queueAt(place, ctx);
    if (!queue) {
        return queue;
    }
    SchedulerQueue found{{}, queue->trouble};
    for (const auto& key : keys) {
        if (auto known = accepted({key}, place.account, *queue)) {
            found.jobs.emplace(key, QueuedJob{std::move(known->id), known->submittedAt});
        }
    }
    return found;
}

Result<void> CommandBackend::probe(const CallContext& ctx) {
    const auto answer = queue(runAs_, ctx);
    return answer ? Result<void>() : Result<void>(answer.error());
}

std::optional<Accepted> CommandBackend::accepted(const SubmissionKey& key,
                                                 const std::string& account,
                                                 const SchedulerQueue& queue) {
    const std::vector<folder::ReadRequest> requests{
        {{key, account}, std::string("in/") + kSubmitted, 0, 20},
        {{key, account}, std::string("in/") + kAccepted, 0, 200}};
    const auto chunks = folders_.read(requests);
    const auto listed = queue.jobs.find(key.value);
    // One that its list does not show any more has ended.
    const auto id = listed != queue.jobs.end() ? listed->second.id.value
                    : chunks[1]                ? chunks[1]->bytes
                                               : "";
    if (id.empty()) {
        return std::nullopt;
    }
    std::int64_t since = 0;
    if (const auto& time = chunks[0]) {
        std::from_chars(time->bytes.data(), time->bytes.data() + time->bytes.size(), since);
    }
    return Accepted{{id}, WallTime(seconds(since))};
}

Result<Submission> CommandBackend::submitOne(const BatchJob& job, const CallContext& ctx) {
    auto files = filesOf(folders_, job);
    if (!files) {
        return files.error();
    }
    auto staged = std::move(files).value();
    const auto now = std::chrono::floor<seconds>(clock_.wallNow());
    staged.push_back({kSubmitted, std::to_string(now.time_since_epoch() / seconds(1))});
    const folder::FolderRef folder{job.key, job.account};
    if (auto made = folders_.stage(folder, staged); !made) {
        return made.error();
    }
    const auto values = submitValues(job, folders_.path(folder).string(), userOf(job.account), now);
    const auto said =
        commands_.run({job.account, filled(config_.submit, values, config_.submitOptions)}, ctx);
    if (!said) {
        return submissionError(said.error());
    }
    auto result = parser_.submission(*said, now);
    if (result && result->accepted) {
        // Without it a job that has ended is submitted once more, and finds its start marker taken.
        const std::vector<folder::StagedFile> id{{kAccepted, result->accepted->id.value}};
        static_cast<void>(folders_.stage(folder, id));
    }
    return result;
}

std::vector<Result<Submission>> CommandBackend::submit(const CallContext& ctx,
                                                       std::span<const BatchJob> jobs) {
    return submitEach(
        ctx, jobs,
        [this](const BatchJob& job, const SchedulerQueue& queue) {
            return accepted(job.key, job.account, queue);
        },
        [&](const BatchJob& job) { return submitOne(job, ctx); });
}

Observation CommandBackend::resultOf(const JobRef& ref, const CallContext& ctx) {
    Observation seen;
    const auto said = commands_.run(
        {ref.account, filled(config_.result, valuesOf(ref.key, ref.id, ref.account))}, ctx);
    if (!said) {
        seen.reason = said.error().message;
        return seen;
    }
    return parser_.result(*said);
}

Observation CommandBackend::look(const JobRef& ref, const CommandListing& listing,
                                 const FolderMarks& marks, const CallContext& ctx) {
    Observation seen;
    seen.started = marks.started;
    const auto known = listing.jobs.find(ref.key.value);
    const bool isListed = known != listing.jobs.end();
    if (!isListed && !listing.trouble.empty()) {
        seen.reason = listing.trouble;
        return seen;
    }
    const auto node = isListed ? known->second.node : "";
    if (isListed && (known->second.state != BatchState::Ended || known->second.failed)) {
        seen.state = known->second.state;
        seen.reason = known->second.reason;
        seen.node = node;
        seen.cause = known->second.failed ? EndCause::NeverRunnable : EndCause::None;
        return seen;
    }
    if (marks.hasStatus) {
        seen.state = BatchState::Ended;
        seen.cause = EndCause::Exited;
    } else if (!config_.result.empty() && !(ref.id.value.empty() && asksById(config_))) {
        seen = resultOf(ref, ctx);
        seen.started = marks.started;
    } else {
        seen.state = isListed ? BatchState::Ended : BatchState::Absent;
        seen.cause = isListed ? EndCause::Unknown : EndCause::None;
    }
    // Of one that never started some batch systems keep nothing.
    if (marks.removed && !marks.hasStatus && seen.state != BatchState::Unknown) {
        seen.state = BatchState::Ended;
        seen.cause = EndCause::RemovedByUs;
    }
    seen.node = node;
    return seen;
}

Result<std::vector<Observation>> CommandBackend::observe(const CallContext& outer,
                                                         std::span<const JobRef> refs) {
    return observeEach(
        outer, refs,
        [&](const CallContext& ctx, const Place& place, const std::vector<std::size_t>& indices,
            std::vector<Observation>& seen) -> Result<void> {
            // The queue first: a status file that is written later is seen all the same.
            const auto listing = queue(place.account, ctx);
            if (!listing) {
                return listing.error();
            }
            std::vector<JobRef> jobs;
            for (const auto i : indices) {
                jobs.push_back(refs[i]);
            }
            const auto marks = readMarks(folders_, jobs);
            for (std::size_t n = 0; n < jobs.size(); ++n) {
                seen[indices[n]] = look(jobs[n], *listing, marks[n], ctx);
            }
            return {};
        });
}

std::vector<Result<void>> CommandBackend::remove(const Place& place,
                                                 const std::vector<JobRef>& jobs,
                                                 bool /*onlyWaiting*/, const CallContext& ctx) {
    std::vector<Result<void>> results;
    for (const auto& job : jobs) {
        markRemoved(folders_, job);
        const auto said = commands_.run(
            {place.account, filled(config_.cancel, valuesOf(job.key, job.id, job.account))}, ctx);
        if (!said) {
            results.emplace_back(said.error());
        } else if (parser_.cancelled(*said)) {
            results.emplace_back();
        } else {
            results.emplace_back(
                uncertainError(config_.cancel.front() + ": " + lastLineOf(said->out + said->err)));
        }
    }
    return results;
}

}  // namespace gridbridge
