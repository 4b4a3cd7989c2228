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

}  // namespace

CommandBackend::CommandBackend(CommandConfig config, std::string runAs, folder::JobFolders& folders,
                               ProcessRunner& runner, Clock& clock, Teller tell)
    : config_(std::move(config)),
      runAs_(std::move(runAs)),
      parser_(config_),
      folders_(folders),
      clock_(clock),
      commands_({.binDir = config_.binDir, .variables = config_.environment}, runner, clock),
      tell_(std::move(tell)) {}

Capabilities CommandBackend::capabilities() const {
    // A server that hangs takes what it was sent when it goes on, accounts are written late, and a
    // network file system shows the status file as late.
    return {.maxBatch = 10'000,
            .maxSubmit = 20,
            .liveLog = true,
            .softCancel = true,
            .sharedFolder = true,
            .findsByKey = true,
            .visibilityDelay = seconds(60)};
}

void CommandBackend::tellOnce(const std::string& trouble) {
    {
        const std::lock_guard lock(mutex_);
        if (trouble == told_) {
            return;
        }
        told_ = trouble;
    }
    if (!trouble.empty()) {
        tell_(trouble + "; jobs that are not listed are left as they are");
    }
}

Result<CommandListing> CommandBackend::queue(const std::string& account, const CallContext& ctx) {
    const auto said =
        commands_.run({account, filled(config_.status, {{"user", userOf(account)}})}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    auto listing = parser_.listing(*said);
    if (listing) {
        tellOnce(listing->trouble);
    }
    return listing;
}

const Result<CommandListing>& CommandBackend::queueOf(Queues& queues, const std::string& account,
                                                      const CallContext& ctx) {
    const auto known = queues.find(account);
    return known != queues.end() ? known->second
                                 : queues.emplace(account, queue(account, ctx)).first->second;
}

Result<void> CommandBackend::probe(const CallContext& ctx) {
    const auto answer = queue(runAs_, ctx);
    return answer ? Result<void>() : Result<void>(answer.error());
}

std::optional<Accepted> CommandBackend::accepted(const SubmissionKey& key,
                                                 const std::string& account,
                                                 const CommandListing& listing) {
    const std::vector<folder::ReadRequest> requests{
        {{key, account}, std::string("in/") + kSubmitted, 0, 20},
        {{key, account}, std::string("in/") + kAccepted, 0, 200}};
    const auto chunks = folders_.read(requests);
    const auto listed = listing.jobs.find(key.value);
    // One that its list does not show any more has ended.
    const auto id = listed != listing.jobs.end() ? listed->second.id.value
                    : chunks[1]                  ? chunks[1]->bytes
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
    // The loader is last; some take only what names its interpreter.
    if (auto& loader = staged.back().content; !loader.starts_with("#!")) {
        loader.insert(0, "#!/bin/sh\n");
    }
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
        // Without the command no job can be submitted, this one or another.
        const bool notRun = said.error().kind == ErrorKind::Permanent;
        return notRun ? transientError(said.error().message) : said.error();
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
    std::vector<Result<Submission>> results;
    Queues queues;
    // After an answer that says it for all, the others are not even tried.
    std::optional<Result<Submission>> forAll;
    for (const auto& job : jobs) {
        if (forAll) {
            results.push_back(*forAll);
            continue;
        }
        const auto& listing = queueOf(queues, job.account, ctx);
        if (!listing) {
            results.emplace_back(transientError(listing.error().message));
            continue;
        }
        if (const auto known = accepted(job.key, job.account, *listing)) {
            results.emplace_back(Submission{.accepted = known, .full = {}});
            continue;
        }
        results.push_back(submitOne(job, ctx));
        const auto& last = results.back();
        if (last.ok() && last->full) {
            forAll = last;
        } else if (!last.ok() && last.error().kind != ErrorKind::Permanent) {
            forAll = transientError(last.error().message);
        }
    }
    return results;
}

Result<std::vector<FoundJob>> CommandBackend::find(const CallContext& ctx,
                                                   std::span<const SubmissionKey> keys) {
    const auto listing = queue(runAs_, ctx);
    if (!listing) {
        return listing.error();
    }
    std::vector<FoundJob> found;
    for (const auto& key : keys) {
        if (const auto known = accepted(key, runAs_, *listing)) {
            found.push_back({key, known->id, known->submittedAt});
        }
    }
    if (found.size() < keys.size() && !listing->trouble.empty()) {
        return transientError(listing->trouble);
    }
    return found;
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

Result<std::vector<Observation>> CommandBackend::observe(const CallContext& ctx,
                                                         std::span<const JobRef> refs) {
    // The queue first: a status file that is written later is seen all the same.
    Queues queues;
    for (const auto& ref : refs) {
        if (const auto& listing = queueOf(queues, ref.account, ctx); !listing) {
            return listing.error();
        }
    }
    const auto marks = readMarks(folders_, refs);
    std::vector<Observation> seen;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        seen.push_back(look(refs[i], *queueOf(queues, refs[i].account, ctx), marks[i], ctx));
    }
    return seen;
}

std::vector<Result<LogChunk>> CommandBackend::readLogs(const CallContext&,
                                                       std::span<const LogRequest> requests) {
    return readSharedLogs(folders_, requests);
}

Result<void> CommandBackend::remove(const JobRef& ref, const RemoteId& id, const CallContext& ctx) {
    // Without it the end is only told as somebody else's.
    const std::vector<folder::StagedFile> mark{{kRemovedName, ""}};
    static_cast<void>(folders_.stage({ref.key, ref.account}, mark));
    const auto said = commands_.run(
        {ref.account, filled(config_.cancel, valuesOf(ref.key, id, ref.account))}, ctx);
    if (!said) {
        return said.error();
    }
    return parser_.cancelled(*said)
               ? Result<void>()
               : uncertainError(config_.cancel.front() + ": " + lastLineOf(said->out + said->err));
}

Result<CancelOutcome> CommandBackend::cancelOne(const CancelRequest& request,
                                                const CommandListing& listing,
                                                const CallContext& ctx) {
    const auto& ref = request.ref;
    const auto known = listing.jobs.find(ref.key.value);
    if (known == listing.jobs.end() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    if (known == listing.jobs.end() ||
        (known->second.state == BatchState::Ended && !known->second.failed)) {
        return CancelOutcome::AlreadyGone;
    }
    const bool asks =
        request.kind == CancelKind::Soft && known->second.state == BatchState::Running;
    const auto done =
        asks ? folders_.requestCancel({ref.key, ref.account}) : remove(ref, known->second.id, ctx);
    return done ? Result<CancelOutcome>(CancelOutcome::Requested) : done.error();
}

std::vector<Result<CancelOutcome>> CommandBackend::cancel(const CallContext& ctx,
                                                          std::span<const CancelRequest> requests) {
    std::vector<Result<CancelOutcome>> results;
    Queues queues;
    for (const auto& request : requests) {
        const auto& listing = queueOf(queues, request.ref.account, ctx);
        results.push_back(listing ? cancelOne(request, *listing, ctx)
                                  : Result<CancelOutcome>(listing.error()));
    }
    return results;
}

std::vector<Result<CollectOutcome>> CommandBackend::collect(const CallContext&,
                                                            std::span<const JobRef> refs) {
    return collectShared(folders_, refs);
}

Result<void> CommandBackend::releaseOne(const JobRef& ref, const CommandListing& listing,
                                        const CallContext& ctx) {
    const auto known = listing.jobs.find(ref.key.value);
    if (known == listing.jobs.end() && !listing.trouble.empty()) {
        return transientError(listing.trouble);
    }
    if (known != listing.jobs.end() && known->second.state == BatchState::Running) {
        return permanentError("the job " + ref.key.value + " still runs");
    }
    const bool stays = known != listing.jobs.end() &&
                       (known->second.state != BatchState::Ended || known->second.failed);
    if (stays) {
        if (auto removed = remove(ref, known->second.id, ctx); !removed) {
            return removed;
        }
    }
    return folders_.free({ref.key, ref.account});
}

std::vector<Result<void>> CommandBackend::release(const CallContext& ctx,
                                                  std::span<const JobRef> refs) {
    std::vector<Result<void>> results;
    Queues queues;
    for (const auto& ref : refs) {
        const auto& listing = queueOf(queues, ref.account, ctx);
        results.push_back(listing ? releaseOne(ref, *listing, ctx) : Result<void>(listing.error()));
    }
    return results;
}

}  // namespace gridbridge
