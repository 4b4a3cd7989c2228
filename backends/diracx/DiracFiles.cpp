// What goes to DIRAC with a job, and what comes back.
#include <algorithm>
#include <filesystem>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracBackend.h"

namespace gridbridge {
namespace {

/// What of `in/` was put there by nobody else.
std::set<std::string> withNotes(const std::vector<SandboxFile>& files) {
    std::set<std::string> names{kOwnerName, kOutputsName, kRemovedName, kDiracxWrapperName};
    for (const auto& file : files) {
        names.insert(file.name);
    }
    return names;
}

}  // namespace

Result<std::vector<SandboxFile>> DiracBackend::filesFor(const BatchJob& job) {
    auto made = filesOf(folders_, job, ".");
    if (!made) {
        return made.error();
    }
    auto files = receiver_ ? receiver_->filesFor(job.key) : std::vector<SandboxFile>();
    for (auto& file : *made) {
        files.push_back({std::move(file.name), std::move(file.content)});
    }
    if (auto added = addPut({job.key, job.account}, files); !added) {
        return added.error();
    }
    return files;
}

Result<void> DiracBackend::addPut(const folder::FolderRef& folder,
                                  std::vector<SandboxFile>& files) {
    const auto names = namesPut(folders_.path(folder) / "in", withNotes(files));
    if (!names) {
        return names.error();
    }
    std::vector<folder::ReadRequest> reads;
    for (const auto& name : *names) {
        reads.push_back({folder, "in/" + name, 0, 0});
    }
    std::int64_t total = 0;
    for (const auto& file : files) {
        total += static_cast<std::int64_t>(file.content.size());
    }
    // Nothing is read that is too much for this machine's memory.
    for (const auto& size : folders_.read(reads)) {
        if (!size) {
            return size.error();
        }
        total += size->size;
    }
    const auto most = 2 * mostPacked();
    if (total > most) {
        return permanentError("the artifacts that the job depends on and its script have " +
                              std::to_string(total) + " bytes, and DIRAC carries " +
                              std::to_string(mostPacked() >> 20) + " MiB at most, packed");
    }
    for (auto& read : reads) {
        read.limit = static_cast<std::size_t>(most);
        auto chunk = std::move(folders_.read(std::span(&read, 1)).front());
        if (!chunk) {
            return chunk.error();
        }
        files.push_back({read.name.substr(3), std::move(chunk).value().bytes});
    }
    return {};
}

Result<void> DiracBackend::writeOwner(const BatchJob& job, const std::string& owner) {
    const std::vector<folder::StagedFile> staged{{kOwnerName, owner}};
    return folders_.stage({job.key, job.account}, staged);
}

/// The JDL of the job, whose files are with DIRAC then.
Result<std::string> DiracBackend::prepare(const CallContext& ctx, const BatchJob& job,
                                          const std::string& wrapper) {
    auto files = filesFor(job);
    if (!files) {
        return files.error();
    }
    // Its folder is where its outputs come to. Its inputs hold secrets, and are needed there no
    // more.
    const auto loader = std::find_if(files->begin(), files->end(),
                                     [](const auto& file) { return file.name == kLoaderName; });
    const std::vector<folder::StagedFile> staged{{kLoaderName, loader->content},
                                                 noteOf(kOutputsName, carriedOutputs(job))};
    if (const auto made = folders_.stage({job.key, job.account}, staged); !made) {
        return made.error();
    }
    const auto given = giveFiles(ctx, job, std::move(files).value());
    if (!given) {
        return given.error();
    }
    auto sandboxes = *given;
    if (!wrapper.empty()) {
        sandboxes.insert(sandboxes.begin(), wrapper);
    }
    return diracxJdl(config_, job, sandboxes, clock_.wallNow());
}

Error DiracBackend::refusalOf(const BatchJob& job, Error error) const {
    const auto unusual = unusualInJdl(config_, job);
    error.message = "DIRAC refuses the job " + job.key.value + ": " + error.message +
                    (unusual.empty() ? "" : "; what is unusual in it: " + unusual);
    return error;
}

void DiracBackend::submitNew(const CallContext& ctx, const DiracOwner& owner,
                             std::span<const BatchJob> jobs, const std::vector<std::size_t>& which,
                             std::vector<Result<Submission>>& results) {
    const auto wrapper = giveWrapper(ctx);
    std::vector<std::size_t> where;
    std::vector<Described> described;
    for (const auto i : which) {
        const auto jdl = wrapper ? prepare(ctx, jobs[i], *wrapper) : wrapper;
        if (!jdl) {
            results[i] = jdl.error();
        } else if (const auto noted = writeOwner(jobs[i], owner.text()); !noted) {
            results[i] = noted.error();
        } else {
            where.push_back(i);
            described.push_back({&jobs[i], *jdl});
        }
    }
    if (where.empty()) {
        return;
    }
    const auto ids = hand(ctx, owner, described);
    for (std::size_t n = 0; n < where.size(); ++n) {
        auto& result = results[where[n]];
        if (ids[n]) {
            result = Submission{.accepted = Accepted{{std::to_string(*ids[n])}, clock_.wallNow()},
                                .full = {}};
            continue;
        }
        result = ids[n].error();
        if (ids[n].error().kind != ErrorKind::Uncertain) {
            // Where this fails, the next submission is refused to another login, and says so.
            static_cast<void>(writeOwner(jobs[where[n]], ""));
        }
    }
}

std::vector<JobRef> DiracBackend::handedBefore(std::span<const BatchJob> jobs, bool searchIsCheap) {
    // The note is written before, and a power failure may undo it: but then the core asks for the
    // key before it submits again.
    std::vector<folder::ReadRequest> notes;
    for (const auto& job : jobs) {
        notes.push_back({{job.key, job.account}, std::string("in/") + kOwnerName, 0, 0});
    }
    const auto noted =
        searchIsCheap ? std::vector<Result<folder::ReadChunk>>() : folders_.read(notes);
    std::vector<JobRef> refs;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (searchIsCheap || !noted[i] || noted[i]->size > 0) {
            refs.push_back({jobs[i].key, jobs[i].account, {}, {}});
        }
    }
    return refs;
}

std::vector<Result<Submission>> DiracBackend::submit(const CallContext& ctx,
                                                     std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results(jobs.size(), transientError("not submitted"));
    const auto self = login();
    if (self && !*self) {
        return {jobs.size(), self->error()};
    }
    const auto known = look(ctx, handedBefore(jobs, !self), Histories::All);
    if (!known) {
        return {jobs.size(), withoutEffect(known.error())};
    }
    killSecondCopies(ctx, *known);
    std::vector<std::size_t> unknown;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (const auto* job = known->of(jobs[i].key)) {
            results[i] = Submission{
                .accepted = Accepted{{std::to_string(job->id)}, job->submittedAt}, .full = {}};
        } else {
            unknown.push_back(i);
        }
    }
    if (!unknown.empty()) {
        submitNew(ctx, known->owner ? *known->owner : **self, jobs, unknown, results);
    }
    return results;
}

bool DiracBackend::hasWaited(const std::string& key) {
    constexpr std::chrono::minutes kGrace{15};
    const auto now = clock_.steadyNow();
    const std::lock_guard lock(mutex_);
    return now >= outputMissing_.emplace(key, now).first->second + kGrace;
}

Result<std::set<std::string>> DiracBackend::wantedOf(const folder::FolderRef& folder) {
    const auto listed = namesIn(folders_, folder, kOutputsName);
    if (!listed) {
        return withoutEffect(listed.error());
    }
    std::set<std::string> names{"log", "status", kDiracxBatchLog, kDiracxExitName};
    names.insert(listed->begin(), listed->end());
    return names;
}

SandboxSink DiracBackend::sinkInto(const CallContext& ctx, const folder::FolderRef& folder,
                                   std::set<std::string>& begun) {
    return [this, &ctx, folder, &begun](const std::string& name, std::int64_t offset,
                                        std::string_view bytes) -> Result<void> {
        if (ctx.stop.stop_requested() || clock_.steadyNow() >= ctx.deadline) {
            return transientError("there was no time for all of the job's output");
        }
        begun.insert(name);
        return folders_.append(folder, "out/" + name, offset, bytes);
    };
}

void DiracBackend::emptyAllButLog(const folder::FolderRef& folder,
                                  const std::set<std::string>& begun) {
    for (const auto& name : begun) {
        if (name != "log" && name != "status") {
            static_cast<void>(folders_.append(folder, "out/" + name, 0, {}));
        }
    }
}

std::optional<Result<CollectOutcome>> DiracBackend::withoutFiles(const CallContext& ctx,
                                                                 const JobRef& ref,
                                                                 const Known& known,
                                                                 const Pasts& pasts) {
    const auto* const job = known.of(ref.key);
    if (job == nullptr) {
        return transientError("DIRAC does not know the job");
    }
    if (!isDiracxFinal(job->status)) {
        return Result<CollectOutcome>(CollectOutcome::NotYet);
    }
    const auto past = pasts.find(ref.key.value);
    if (past == pasts.end()) {
        return transientError("DIRAC has told no history of the job");
    }
    if (past->second.started) {
        return std::nullopt;
    }
    return sync(ctx, ref, observationOf(*job, past->second).run);
}

Result<CollectOutcome> DiracBackend::afterFetch(const CallContext& ctx, const JobRef& ref,
                                                const Result<bool>& fetched,
                                                const Observation& seen) {
    if (!fetched && fetched.error().kind == ErrorKind::Permanent) {
        tell_("of the job " + ref.key.value + ": " + fetched.error().message);
        // The job's own doing: that is no failure of the system.
        return leaveWord(ctx, ref, seen.run, fetched.error().message);
    }
    if (!fetched) {
        return withoutEffect(fetched.error());
    }
    if (!*fetched && leavesDiracxFiles(seen)) {
        return hasWaited(ref.key.value) ? CollectOutcome::Never : CollectOutcome::NotYet;
    }
    return !*fetched && seen.cause == EndCause::RemovedByUs
               ? leaveWord(ctx, ref, seen.run, seen.reason)
               : sync(ctx, ref, seen.run);
}

Result<CollectOutcome> DiracBackend::leaveWord(const CallContext& ctx, const JobRef& ref, int run,
                                               const std::string& word) {
    const auto told = folders_.append({ref.key, ref.account}, std::string("out/") + kDiracxBatchLog,
                                      0, word + "\n");
    return told ? sync(ctx, ref, run) : Result<CollectOutcome>(withoutEffect(told.error()));
}

std::vector<Result<CollectOutcome>> DiracBackend::collect(const CallContext& ctx,
                                                          std::span<const JobRef> refs) {
    auto results = collectShared(folders_, refs);
    const auto which = uncarried(folders_, refs, results);
    std::vector<JobRef> asked;
    for (const auto i : which) {
        asked.push_back(refs[i]);
    }
    const auto known = look(ctx, asked, Histories::OfCopies);
    auto told = known ? pasts(ctx, *known) : Result<Pasts>(known.error());
    if (!told) {
        for (const auto i : which) {
            results[i] = withoutEffect(told.error());
        }
        return results;
    }
    auto past = std::move(told).value();
    addKills(*known, past);
    std::vector<std::size_t> where;
    std::vector<EndedJob> ended;
    for (const auto i : which) {
        if (auto outcome = withoutFiles(ctx, refs[i], *known, past)) {
            results[i] = std::move(*outcome);
        } else {
            where.push_back(i);
            ended.push_back({refs[i], known->of(refs[i].key)->id});
        }
    }
    const auto fetched = ended.empty() ? std::vector<Result<bool>>() : fetch(ctx, ended);
    for (std::size_t n = 0; n < where.size(); ++n) {
        const auto i = where[n];
        const auto& key = refs[i].key;
        results[i] = afterFetch(ctx, refs[i], fetched[n],
                                observationOf(*known->of(key), past.at(key.value)));
    }
    return results;
}

}  // namespace gridbridge
