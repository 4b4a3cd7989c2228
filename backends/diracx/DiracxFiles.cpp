// What goes to DIRAC with a job, and what comes back.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "backends/api/SharedFolder.h"
#include "backends/diracx/DiracxBackend.h"
#include "backends/diracx/DiracxSandbox.h"

namespace gridbridge {
namespace {

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
    std::set<std::string> names;
    for (auto& file : *made) {
        names.insert(file.name);
        files.push_back({std::move(file.name), std::move(file.content)});
    }
    const folder::FolderRef folder{job.key, job.account};
    // What the core put there before: a job's dependencies.
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator(folders_.path(folder) / "in", none)) {
        const auto name = entry.path().filename().string();
        if (!names.insert(name).second) {
            continue;
        }
        constexpr auto kMost = static_cast<std::size_t>(2 * kDiracxMostPacked);
        const std::vector<folder::ReadRequest> read{{folder, "in/" + name, 0, kMost}};
        auto chunk = std::move(folders_.read(read).front());
        if (!chunk) {
            return chunk.error();
        }
        if (static_cast<std::size_t>(chunk->size) > chunk->bytes.size()) {
            return permanentError("the artifacts that the job depends on have " +
                                  std::to_string(chunk->size) +
                                  " bytes, and DIRAC carries 100 MiB at most");
        }
        files.push_back({name, std::move(chunk).value().bytes});
    }
    return files;
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
    const std::vector<folder::StagedFile> staged{{kLoaderName, loader->content}};
    if (const auto made = folders_.stage({job.key, job.account}, staged); !made) {
        return made.error();
    }
    const auto packed = packSandbox(jobSandbox(std::move(files).value(), diracxOutputs(job)));
    if (!packed) {
        return packed.error();
    }
    const auto sandbox = client_.upload(ctx, *packed);
    if (!sandbox) {
        return sandbox.error();
    }
    return diracxJdl(config_, job, {wrapper, *sandbox}, clock_.wallNow());
}

Result<Submission> DiracxBackend::submitAlone(const CallContext& ctx, const BatchJob& job,
                                              const std::string& jdl) {
    const auto ids = client_.submit(ctx, {jdl});
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

void DiracxBackend::submitNew(const CallContext& ctx, std::span<const BatchJob> jobs,
                              const std::vector<std::size_t>& which,
                              std::vector<Result<Submission>>& results) {
    const auto packed = packSandbox(wrapperSandbox());
    const auto wrapper = packed ? client_.upload(ctx, *packed) : packed;
    std::vector<std::size_t> where;
    std::vector<std::string> jdls;
    for (const auto i : which) {
        const auto jdl = wrapper ? prepare(ctx, jobs[i], *wrapper) : wrapper;
        if (!jdl) {
            results[i] = jdl.error();
        } else {
            where.push_back(i);
            jdls.push_back(*jdl);
        }
    }
    if (where.empty()) {
        return;
    }
    const auto ids = client_.submit(ctx, jdls);
    const bool refused = !ids && ids.error().kind == ErrorKind::Permanent;
    for (std::size_t n = 0; n < where.size(); ++n) {
        auto& result = results[where[n]];
        if (ids) {
            result = Submission{.accepted = Accepted{{std::to_string((*ids)[n])}, clock_.wallNow()},
                                .full = {}};
        } else {
            // Which of them was meant DiracX does not say, and it has kept none.
            result = refused ? submitAlone(ctx, jobs[where[n]], jdls[n])
                             : Result<Submission>(ids.error());
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
        submitNew(ctx, jobs, unknown, results);
    }
    return results;
}

bool DiracxBackend::hasWaited(const std::string& key) {
    constexpr std::chrono::minutes kGrace{15};
    const auto now = clock_.steadyNow();
    const std::lock_guard lock(mutex_);
    return now >= outputMissing_.emplace(key, now).first->second + kGrace;
}

Result<CollectOutcome> DiracxBackend::sync(const CallContext& ctx, const JobRef& ref) {
    const auto path = folders_.path({ref.key, ref.account});
    const auto said =
        commands_.run({ref.account, syncCommand(path / "out", path / "in" / kFetchedName)}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    return said->exitCode == 0 ? Result<CollectOutcome>(CollectOutcome::Done)
                               : transientError("sync: " + lastLineOf(said->err));
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
    const auto unpacked = unpackSandbox(
        file.get(), [&](const std::string& name, std::int64_t offset, std::string_view bytes) {
            return folders_.append(folder, "out/" + name, offset, bytes);
        });
    return unpacked ? sync(ctx, ref) : unpacked.error();
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
            return CollectOutcome::Never;
        }
        return unpacked;
    }
    if (leavesDiracxFiles(seen)) {
        return hasWaited(ref.key.value) ? CollectOutcome::Never : CollectOutcome::NotYet;
    }
    if (seen.cause == EndCause::RemovedByUs) {
        // For the job's log, in which nothing else will tell.
        const auto told = folders_.append(
            {ref.key, ref.account}, std::string("out/") + kDiracxBatchLog, 0, seen.reason + "\n");
        if (!told) {
            return withoutEffect(told.error());
        }
    }
    return sync(ctx, ref);
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
    const auto seen = observationOf(*job, pastOf(*job));
    return seen.started ? fetch(ctx, ref, job->id, seen) : sync(ctx, ref);
}

std::vector<Result<CollectOutcome>> DiracxBackend::collect(const CallContext& ctx,
                                                           std::span<const JobRef> refs) {
    auto results = collectShared(folders_, refs);
    std::vector<folder::ReadRequest> markers;
    for (const auto& ref : refs) {
        markers.push_back({{ref.key, ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    const auto fetched = folders_.read(markers);
    for (std::size_t i = 0; i < refs.size(); ++i) {
        if (!results[i].ok() || *results[i] != CollectOutcome::Done) {
            continue;
        }
        if (!fetched[i]) {
            results[i] = fetched[i].error();
        } else if (!fetched[i]->exists) {
            results[i] = collectOne(ctx, refs[i]);
        }
    }
    return results;
}

}  // namespace gridbridge
