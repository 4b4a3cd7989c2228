// What goes to DIRAC with a job, and what comes back.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracxBackend.h"
#include "backends/diracx/DiracxSandbox.h"

namespace gridbridge {
namespace {

/// In `in/`: what of `out/` is to come back.
constexpr const char* kOutputsName = "diracx-outputs";

/// Names in `out/` that come back.
Result<std::set<std::string>> wantedOf(folder::JobFolders& folders,
                                       const folder::FolderRef& folder) {
    const auto listed = namesIn(folders, folder, kOutputsName);
    if (!listed) {
        return listed.error();
    }
    std::set<std::string> names{"log", "status", kDiracxBatchLog, kDiracxExitName};
    names.insert(listed->begin(), listed->end());
    return names;
}

/// What of `in/` was put there by nobody else.
std::set<std::string> withNotes(const std::vector<SandboxFile>& files) {
    std::set<std::string> names{kOwnerName, kOutputsName};
    for (const auto& file : files) {
        names.insert(file.name);
    }
    return names;
}

struct FileClose {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

}  // namespace

Result<std::vector<SandboxFile>> DiracxBackend::filesFor(const BatchJob& job) {
    auto made = filesOf(folders_, job, ".");
    if (!made) {
        return made.error();
    }
    std::vector<SandboxFile> files;
    for (auto& file : *made) {
        files.push_back({std::move(file.name), std::move(file.content)});
    }
    if (auto added = addPut({job.key, job.account}, files); !added) {
        return added.error();
    }
    return files;
}

Result<void> DiracxBackend::addPut(const folder::FolderRef& folder,
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
    constexpr auto kMost = 2 * kDiracxMostPacked;
    if (total > kMost) {
        return permanentError("the artifacts that the job depends on and its script have " +
                              std::to_string(total) +
                              " bytes, and DIRAC carries 100 MiB at most, packed");
    }
    for (auto& read : reads) {
        read.limit = static_cast<std::size_t>(kMost);
        auto chunk = std::move(folders_.read(std::span(&read, 1)).front());
        if (!chunk) {
            return chunk.error();
        }
        files.push_back({read.name.substr(3), std::move(chunk).value().bytes});
    }
    return {};
}

Result<void> DiracxBackend::writeOwner(const BatchJob& job, const std::string& owner) {
    const std::vector<folder::StagedFile> staged{{kOwnerName, owner}};
    return folders_.stage({job.key, job.account}, staged);
}

/// The JDL of the job, whose files are with DIRAC then.
Result<std::string> DiracxBackend::prepare(const CallContext& ctx, const BatchJob& job,
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
    const auto packed = packSandbox(jobSandbox(std::move(files).value(), carriedOutputs(job)));
    if (!packed) {
        return packed.error();
    }
    const auto sandbox = client_.upload(ctx, *packed);
    if (!sandbox) {
        return sandbox.error();
    }
    return diracxJdl(config_, job, {wrapper, *sandbox}, clock_.wallNow());
}

Result<Submission> DiracxBackend::submitAlone(const CallContext& ctx, const DiracOwner& owner,
                                              const BatchJob& job, const std::string& jdl) {
    const auto ids = client_.submit(ctx, owner, {jdl});
    if (ids) {
        return Submission{.accepted = Accepted{{std::to_string(ids->front())}, clock_.wallNow()},
                          .full = {}};
    }
    auto error = ids.error();
    if (error.kind == ErrorKind::Permanent) {
        const auto unusual = unusualInJdl(config_, job);
        error.message = "DIRAC refuses the job " + job.key.value + ": " + error.message +
                        (unusual.empty() ? "" : "; what is unusual in it: " + unusual);
    }
    return error;
}

void DiracxBackend::submitNew(const CallContext& ctx, const DiracOwner& owner,
                              std::span<const BatchJob> jobs, const std::vector<std::size_t>& which,
                              std::vector<Result<Submission>>& results) {
    const auto packed = packSandbox(wrapperSandbox());
    const auto wrapper = packed ? client_.upload(ctx, *packed) : packed;
    std::vector<std::size_t> where;
    std::vector<std::string> jdls;
    for (const auto i : which) {
        const auto jdl = wrapper ? prepare(ctx, jobs[i], *wrapper) : wrapper;
        if (!jdl) {
            results[i] = jdl.error();
        } else if (const auto noted = writeOwner(jobs[i], owner.text()); !noted) {
            results[i] = noted.error();
        } else {
            where.push_back(i);
            jdls.push_back(*jdl);
        }
    }
    if (where.empty()) {
        return;
    }
    const auto ids = client_.submit(ctx, owner, jdls);
    const bool refused = !ids && ids.error().kind == ErrorKind::Permanent;
    for (std::size_t n = 0; n < where.size(); ++n) {
        auto& result = results[where[n]];
        if (ids) {
            result = Submission{.accepted = Accepted{{std::to_string((*ids)[n])}, clock_.wallNow()},
                                .full = {}};
        } else {
            // Which of them was meant DiracX does not say, and it has kept none.
            result = refused ? submitAlone(ctx, owner, jobs[where[n]], jdls[n])
                             : Result<Submission>(ids.error());
        }
        if (!result && result.error().kind != ErrorKind::Uncertain) {
            // Where this fails, the next submission is refused to another login, and says so.
            static_cast<void>(writeOwner(jobs[where[n]], ""));
        }
    }
}

std::vector<Result<Submission>> DiracxBackend::submit(const CallContext& ctx,
                                                      std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results(jobs.size(), transientError("not submitted"));
    std::vector<JobRef> refs;
    for (const auto& job : jobs) {
        refs.push_back({job.key, job.account, {}, {}});
    }
    const auto known = look(ctx, refs, true);
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
        submitNew(ctx, *known->owner, jobs, unknown, results);
    }
    return results;
}

bool DiracxBackend::hasWaited(const std::string& key) {
    constexpr std::chrono::minutes kGrace{15};
    const auto now = clock_.steadyNow();
    const std::lock_guard lock(mutex_);
    return now >= outputMissing_.emplace(key, now).first->second + kGrace;
}

Result<CollectOutcome> DiracxBackend::unpack(const CallContext& ctx, const JobRef& ref,
                                             const std::string& sandbox) {
    const std::unique_ptr<std::FILE, FileClose> file(std::tmpfile());
    if (!file) {
        return transientError("there is no room for a temporary file");
    }
    if (const auto got = client_.download(ctx, sandbox, file.get()); !got) {
        return got.error();
    }
    const folder::FolderRef folder{ref.key, ref.account};
    const auto wanted = wantedOf(folders_, folder);
    if (!wanted) {
        return withoutEffect(wanted.error());
    }
    std::set<std::string> begun;
    const auto unpacked = unpackSandbox(
        file.get(), *wanted,
        [&](const std::string& name, std::int64_t offset, std::string_view bytes) -> Result<void> {
            if (ctx.stop.stop_requested() || clock_.steadyNow() >= ctx.deadline) {
                return transientError("there was no time for all of the job's output");
            }
            begun.insert(name);
            return folders_.append(folder, "out/" + name, offset, bytes);
        });
    if (unpacked) {
        return syncCarried(commands_, folders_, ref, ctx);
    }
    for (const auto& name : begun) {
        // What of the log and the status has come may be all that anybody will know of the job.
        if (name != "log" && name != "status") {
            static_cast<void>(folders_.append(folder, "out/" + name, 0, {}));
        }
    }
    return unpacked.error();
}

Result<CollectOutcome> DiracxBackend::fetch(const CallContext& ctx, const JobRef& ref,
                                            std::int64_t id, const Observation& seen) {
    const auto sandbox = client_.outputOf(ctx, id);
    if (!sandbox) {
        return withoutEffect(sandbox.error());
    }
    if (!sandbox->empty()) {
        auto unpacked = unpack(ctx, ref, *sandbox);
        if (!unpacked && unpacked.error().kind == ErrorKind::Permanent) {
            tell_("of the job " + ref.key.value + ": " + unpacked.error().message);
            // The job's own doing: that is no failure of the system.
            return leaveWord(ctx, ref, unpacked.error().message);
        }
        return unpacked;
    }
    if (leavesDiracxFiles(seen)) {
        return hasWaited(ref.key.value) ? CollectOutcome::Never : CollectOutcome::NotYet;
    }
    return seen.cause == EndCause::RemovedByUs ? leaveWord(ctx, ref, seen.reason)
                                               : syncCarried(commands_, folders_, ref, ctx);
}

Result<CollectOutcome> DiracxBackend::leaveWord(const CallContext& ctx, const JobRef& ref,
                                                const std::string& word) {
    const auto told = folders_.append({ref.key, ref.account}, std::string("out/") + kDiracxBatchLog,
                                      0, word + "\n");
    return told ? syncCarried(commands_, folders_, ref, ctx)
                : Result<CollectOutcome>(withoutEffect(told.error()));
}

Result<CollectOutcome> DiracxBackend::collectOne(const CallContext& ctx, const JobRef& ref) {
    const auto known = look(ctx, std::span(&ref, 1), true);
    if (!known) {
        return withoutEffect(known.error());
    }
    const auto* const job = known->of(ref.key);
    if (job == nullptr) {
        return transientError("DIRAC does not know the job");
    }
    if (!isDiracxFinal(job->status)) {
        return CollectOutcome::NotYet;
    }
    if (job->history.empty()) {
        return transientError("DIRAC has no history of the job");
    }
    const auto seen = observationOf(*job, pastOf(*job));
    return seen.started ? fetch(ctx, ref, job->id, seen)
                        : syncCarried(commands_, folders_, ref, ctx);
}

std::vector<Result<CollectOutcome>> DiracxBackend::collect(const CallContext& ctx,
                                                           std::span<const JobRef> refs) {
    return collectCarried(folders_, refs, [&](const JobRef& ref) { return collectOne(ctx, ref); });
}

}  // namespace gridbridge
