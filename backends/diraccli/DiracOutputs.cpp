// Output sandboxes, by a command that unpacks them into a folder of ours.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "backends/diraccli/DiracCliBackend.h"
#include "backends/diraccli/DiracCliParse.h"

namespace gridbridge {
namespace {

struct FileClose {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

/// The file, as far as it is a plain one, into the sink.
Result<void> copy(const std::filesystem::path& from, const SandboxSink& sink) {
    const std::unique_ptr<std::FILE, FileClose> file(std::fopen(from.c_str(), "re"));
    if (!file) {
        return transientError("a file of an output sandbox cannot be read");
    }
    std::vector<char> block(std::size_t{256} << 10U);
    std::int64_t offset = 0;
    while (true) {
        const auto got = std::fread(block.data(), 1, block.size(), file.get());
        if (got > 0 || offset == 0) {
            if (auto taken = sink(from.filename(), offset, {block.data(), got}); !taken) {
                return taken;
            }
        }
        if (got == 0) {
            return std::ferror(file.get()) == 0
                       ? Result<void>()
                       : transientError("a file of an output sandbox cannot be read");
        }
        offset += static_cast<std::int64_t>(got);
    }
}

/// Whatever it is, the sandbox is still there.
Error later(const Error& error) {
    return {ErrorKind::Transient, error.message, error.misconfigured};
}

}  // namespace

std::vector<std::vector<std::size_t>> DiracCliBackend::groupsOf(
    std::span<const std::int64_t> ids, const std::set<std::int64_t>& failed, std::size_t most) {
    std::vector<std::vector<std::size_t>> groups;
    std::vector<std::vector<std::size_t>> alone;
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (failed.contains(ids[i])) {
            alone.push_back({i});
        } else if (groups.empty() || groups.back().size() == most) {
            groups.push_back({i});
        } else {
            groups.back().push_back(i);
        }
    }
    groups.insert(groups.end(), alone.begin(), alone.end());
    return groups;
}

void DiracCliBackend::note(std::set<std::int64_t>& failed, std::int64_t id, bool hasFailed) {
    constexpr std::size_t kMost = 10000;  // Of some nobody asks again.
    const std::lock_guard lock(mutex_);
    if (!hasFailed) {
        failed.erase(id);
    } else if (failed.size() < kMost) {
        failed.insert(id);
    }
}

CallContext DiracCliBackend::partOf(const CallContext& ctx, std::size_t left) {
    constexpr std::chrono::seconds kLeast{5};  // What a command takes to start.
    const auto now = clock().steadyNow();
    auto part = ctx;
    const auto share =
        (ctx.deadline - now) / static_cast<std::int64_t>(std::max<std::size_t>(left, 1));
    part.deadline = std::min(ctx.deadline, now + std::max<SteadyTime::duration>(share, kLeast));
    return part;
}

Result<bool> DiracCliBackend::take(const CallContext& ctx, const EndedJob& job,
                                   const Finished& said, const std::filesystem::path& from) {
    if (!isDiracOutputRetrieved(said.out, from)) {
        const auto none = withoutDiracOutput(said.out);
        if (std::find(none.begin(), none.end(), job.id) != none.end()) {
            return false;
        }
        const auto errors = parseDiracErrors(said.out);
        const auto found = errors.find(job.id);
        const auto why = found == errors.end() ? diracComplaint(said.out, said.err) : found->second;
        if (isDiracOutputRefused(why)) {
            return permanentError(why);
        }
        if (isDiracOutputBroken(why) && hasWaited(job.ref.key.value)) {
            return false;  // As if it had not come: no job can do that.
        }
        return transientError("dirac-wms-job-get-output: " + why);
    }
    const folder::FolderRef folder{job.ref.key, job.ref.account};
    const auto wanted = wantedOf(folder);
    if (!wanted) {
        return later(wanted.error());
    }
    std::error_code error;
    std::set<std::string> begun;
    const auto sink = sinkInto(ctx, folder, begun);
    for (const auto& name : *wanted) {
        if (!std::filesystem::exists(from / name, error)) {
            continue;
        }
        if (const auto copied = copy(from / name, sink); !copied) {
            emptyAllButLog(folder, begun);
            return later(copied.error());
        }
    }
    return true;
}

void DiracCliBackend::fetchGroup(const CallContext& ctx, const DiracSession& session,
                                 std::span<const EndedJob> jobs,
                                 const std::vector<std::size_t>& which,
                                 std::vector<Result<bool>>& results) {
    const auto into = session.scratch->path() / "out";
    std::vector<std::string> argv{"dirac-wms-job-get-output", "-D", into};
    for (const auto i : which) {
        argv.push_back(std::to_string(jobs[i].id));
    }
    const auto said = commands_.run(ctx, session, argv);
    for (const auto i : which) {
        results[i] = said ? take(ctx, jobs[i], *said, into / std::to_string(jobs[i].id))
                          : Result<bool>(later(said.error()));
        note(failedOutputs_, jobs[i].id,
             !results[i] && results[i].error().kind != ErrorKind::Permanent);
    }
    std::error_code error;
    std::filesystem::remove_all(into, error);
}

std::vector<Result<bool>> DiracCliBackend::fetch(const CallContext& ctx,
                                                 std::span<const EndedJob> jobs) {
    // Of one that takes all the time of its command, others have to wait for the next call.
    std::vector<Result<bool>> results(
        jobs.size(), transientError("there was no time for the job's output sandbox"));
    const auto session = commands_.begin();
    if (!session) {
        return std::vector<Result<bool>>(jobs.size(), session.error());
    }
    std::vector<std::int64_t> ids;
    for (const auto& job : jobs) {
        ids.push_back(job.id);
    }
    const auto groups = groupsOf(ids, failedOutputs_, kMostOutputs);
    for (std::size_t n = 0; n < groups.size() && clock().steadyNow() < ctx.deadline; ++n) {
        fetchGroup(partOf(ctx, groups.size() - n), *session, jobs, groups[n], results);
    }
    return results;
}

}  // namespace gridbridge
