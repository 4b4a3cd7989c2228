// What goes to ARC with a job, and what comes back.
#include <algorithm>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcBackend.h"

namespace gridbridge {
namespace {

/// Notes in `in/`: what of it goes with the job, and what of `out/` is to come back.
constexpr const char* kInputsName = "arc-inputs";
constexpr const char* kOutputsName = "arc-outputs";

/// Of one file that comes back.
constexpr std::int64_t kMostBytes = std::int64_t{64} << 30;

bool isWholeBy(const std::string& uploaded) {
    return ("\n" + uploaded + "\n").find(std::string("\n/") + kArcProgram + "\n") !=
           std::string::npos;
}

JobRef refOf(const BatchJob& job) {
    return {job.key, job.account, {}, {}};
}

}  // namespace

Result<ArcBackend::Copy> ArcBackend::copyOf(const CallContext& ctx, const JobRef& ref,
                                            const Job& job) {
    const auto local = client_.diagnose(ctx, job.id, "local");
    if (!local) {
        return local.error();
    }
    if (!*local) {
        return transientError("ARC does not say what became of a job");
    }
    Copy copy{.job = job, .local = parseArcFields(**local), .isWhole = true};
    if (isArcWaiting(job.state)) {
        const auto uploaded = client_.diagnose(ctx, job.id, "input_status");
        if (!uploaded) {
            return uploaded.error();
        }
        copy.isWhole = isWholeBy(uploaded->value_or(""));
    }
    // Whoever wants an end of it has the end of it: what nobody asked for was a copy too many.
    copy.isDead = isArcFinal(job.state) && wasArcKilledEarly({.local = copy.local}) &&
                  !readMarks(folders_, std::span(&ref, 1)).front().removed;
    return copy;
}

Result<void> ArcBackend::discard(const CallContext& ctx, const std::vector<std::string>& ids) {
    for (const auto* action : {"kill", "clean"}) {
        if (const auto done = client_.act(ctx, action, ids); !done) {
            return done.error();
        }
    }
    return {};
}

Result<std::optional<FoundJob>> ArcBackend::adopt(const CallContext& ctx, const Known& known,
                                                  const JobRef& ref) {
    const auto ids = known.ids.find(ref.key.value);
    if (ids == known.ids.end()) {
        return std::optional<FoundJob>();
    }
    std::vector<Copy> copies;
    for (const auto& id : ids->second) {
        auto copy = copyOf(ctx, ref, {id, known.states.at(id)});
        if (!copy) {
            return copy.error();
        }
        copies.push_back(std::move(copy).value());
    }
    const auto rank = [](const Copy& copy) {
        return std::tuple(copy.isDead, !copy.isWhole, copy.job.id);
    };
    std::sort(copies.begin(), copies.end(),
              [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    const auto& best = copies.front();
    std::vector<std::string> others;
    for (const auto& copy : copies) {
        if (&copy != &best || copy.isDead) {
            others.push_back(copy.job.id);
        }
    }
    if (const auto removed = discard(ctx, others); !removed) {
        return removed.error();
    }
    if (best.isDead) {
        return std::optional<FoundJob>();
    }
    if (!best.isWhole) {
        if (const auto done = upload(ctx, ref, best.job.id); !done) {
            return done.error();
        }
    }
    const auto submitted = arcTime(arcField(best.local, "starttime"));
    return std::optional(FoundJob{ref.key, {best.job.id}, submitted.value_or(clock_.wallNow())});
}

Result<std::string> ArcBackend::prepare(const BatchJob& job) {
    auto made = filesOf(folders_, job, ".");
    if (!made) {
        return made.error();
    }
    auto files = std::move(made).value();
    const folder::FolderRef folder{job.key, job.account};
    std::vector<std::string> inputs;
    std::set<std::string> others{kInputsName, kOutputsName};
    for (const auto& file : files) {
        inputs.push_back(file.name);
        others.insert(file.name);
    }
    const auto put = namesPut(folders_.path(folder) / "in", others);
    if (!put) {
        return put.error();
    }
    inputs.insert(inputs.end(), put->begin(), put->end());
    auto description = arcDescription(config_, job, inputs, clock_.wallNow());
    if (!description) {
        return description;
    }
    files.push_back(noteOf(kInputsName, inputs));
    files.push_back(noteOf(kOutputsName, carriedOutputs(job)));
    if (const auto staged = folders_.stage(folder, files); !staged) {
        return staged.error();
    }
    return description;
}

Result<void> ArcBackend::uploadFile(const CallContext& ctx, const JobRef& ref,
                                    const std::string& id, const std::string& name) {
    constexpr std::size_t kPiece = std::size_t{8} << 20U;
    std::int64_t offset = 0;
    do {
        const std::vector<folder::ReadRequest> read{
            {{ref.key, ref.account}, "in/" + name, offset, kPiece}};
        auto piece = std::move(folders_.read(read).front());
        if (!piece) {
            return piece.error();
        }
        if (!piece->exists || (piece->bytes.empty() && offset < piece->size)) {
            return transientError("the file " + name + " of the job is not there");
        }
        const auto size = piece->size;
        const auto count = static_cast<std::int64_t>(piece->bytes.size());
        const auto sent =
            client_.put(ctx, id, "in/" + name, offset, std::move(piece).value().bytes, size);
        if (!sent) {
            return sent;
        }
        offset = size == 0 ? 0 : offset + count;
        if (offset >= size) {
            return {};
        }
    } while (true);
}

Result<void> ArcBackend::upload(const CallContext& ctx, const JobRef& ref, const std::string& id) {
    const auto names = namesIn(folders_, {ref.key, ref.account}, kInputsName);
    if (!names) {
        return names.error();
    }
    if (names->empty()) {
        return transientError("the files of the job " + ref.key.value + " are not here");
    }
    for (const auto& name : *names) {
        if (const auto sent = uploadFile(ctx, ref, id, name); !sent) {
            return sent;
        }
    }
    // The job may start as soon as it is there.
    const auto program = arcProgram();
    return client_.put(ctx, id, kArcProgram, 0, program, static_cast<std::int64_t>(program.size()));
}

Result<Submission> ArcBackend::finish(const CallContext& ctx, const BatchJob& job,
                                      const ArcEntry& entry) {
    if (entry.status / 100 != 2) {
        const auto text = "ARC refuses the job " + job.key.value + ": " + entry.reason;
        // What else goes wrong there may pass.
        const bool final = entry.reason.find("queue") != std::string::npos ||
                           entry.reason.find("parsing error") != std::string::npos;
        return final ? permanentError(text) : transientError(text);
    }
    if (entry.id.empty()) {
        return uncertainError("ARC does not say the id of the job");
    }
    if (const auto sent = upload(ctx, refOf(job), entry.id); !sent) {
        // It waits for its files, and whoever looks for it sends them.
        return uncertainError("ARC has taken the job, but not its files: " + sent.error().message);
    }
    return Submission{.accepted = Accepted{{entry.id}, clock_.wallNow()}, .full = {}};
}

void ArcBackend::submitNew(const CallContext& ctx, std::span<const BatchJob> jobs,
                           const std::vector<std::size_t>& which,
                           std::vector<Result<Submission>>& results) {
    std::vector<std::size_t> where;
    std::string descriptions;
    for (const auto i : which) {
        const auto description = prepare(jobs[i]);
        if (description) {
            where.push_back(i);
            descriptions += "(" + *description + ")";
        } else {
            results[i] = description.error();
        }
    }
    if (where.empty()) {
        return;
    }
    const auto entries = client_.submit(ctx, "+" + descriptions, where.size());
    for (std::size_t n = 0; n < where.size(); ++n) {
        results[where[n]] = entries ? finish(ctx, jobs[where[n]], (*entries)[n])
                                    : Result<Submission>(entries.error());
    }
}

std::vector<Result<Submission>> ArcBackend::submit(const CallContext& ctx,
                                                   std::span<const BatchJob> jobs) {
    std::vector<Result<Submission>> results(jobs.size(), transientError("not submitted"));
    std::vector<JobRef> refs;
    for (const auto& job : jobs) {
        refs.push_back(refOf(job));
    }
    const auto known = look(ctx, refs, true);
    if (!known) {
        return {jobs.size(), withoutEffect(known.error())};
    }
    std::vector<std::size_t> unknown;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const auto found = adopt(ctx, *known, refs[i]);
        if (!found) {
            results[i] = withoutEffect(found.error());
        } else if (*found) {
            results[i] =
                Submission{.accepted = Accepted{(**found).id, (**found).submittedAt}, .full = {}};
        } else {
            unknown.push_back(i);
        }
    }
    submitNew(ctx, jobs, unknown, results);
    return results;
}

Result<void> ArcBackend::fetch(const CallContext& ctx, const JobRef& ref, const std::string& id,
                               const std::string& from, const std::string& name) {
    const folder::FolderRef folder{ref.key, ref.account};
    std::int64_t offset = 0;
    Result<void> written;
    const auto fetched =
        client_.fetch(ctx, id, from + name,
                      {[&](std::string_view bytes) {
                           written = folders_.append(folder, "out/" + name, offset, bytes);
                           offset += static_cast<std::int64_t>(bytes.size());
                           return written.ok();
                       },
                       kMostBytes});
    if (!written) {
        return written.error();
    }
    if (!fetched) {
        return fetched.error();
    }
    return *fetched && offset == 0 ? folders_.append(folder, "out/" + name, 0, {}) : Result<void>();
}

Result<CollectOutcome> ArcBackend::collectOne(const CallContext& ctx, const JobRef& ref) {
    const auto known = look(ctx, std::span(&ref, 1), false);
    if (!known) {
        return withoutEffect(known.error());
    }
    const auto job = known->of(ref);
    if (!job) {
        return transientError("ARC does not know the job");
    }
    if (!isArcFinal(job->state)) {
        return CollectOutcome::NotYet;
    }
    const auto names = namesIn(folders_, {ref.key, ref.account}, kOutputsName);
    if (!names) {
        return withoutEffect(names.error());
    }
    auto fetched = fetch(ctx, ref, job->id, "", "batch.log");
    for (const auto& name : *names) {
        fetched = fetched ? fetch(ctx, ref, job->id, "out/", name) : fetched;
    }
    if (!fetched) {
        const auto& error = fetched.error();
        if (error.kind != ErrorKind::Permanent) {
            return withoutEffect(error);
        }
        tell_("of the job " + ref.key.value + ": " + error.message);
        return CollectOutcome::Never;
    }
    return syncCarried(commands_, folders_, ref, ctx);
}

std::vector<Result<CollectOutcome>> ArcBackend::collect(const CallContext& ctx,
                                                        std::span<const JobRef> refs) {
    return collectCarried(folders_, refs, [&](const JobRef& ref) { return collectOne(ctx, ref); });
}

}  // namespace gridbridge
