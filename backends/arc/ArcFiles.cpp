// What goes to ARC with a job.
#include <algorithm>

#include "backends/api/CarriedFiles.h"
#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcBackend.h"

namespace gridbridge {
namespace {

/// Notes in `in/`: what of it goes with the job, and until when it is wanted, in seconds.
constexpr const char* kInputsName = "arc-inputs";
constexpr const char* kDeadlineName = "arc-deadline";

/// Whether that list of A-REX names it.
bool isListed(const std::string& uploaded, const std::string& name) {
    return ("\n" + uploaded + "\n").find("\n/" + name + "\n") != std::string::npos;
}

JobRef refOf(const BatchJob& job) {
    return {job.key, job.account, {}, {}};
}

}  // namespace

Result<std::string> ArcBackend::uploadedOf(const CallContext& ctx, const std::string& id) {
    const auto told = client_.diagnose(ctx, id, "input_status");
    return told ? Result<std::string>(told->value_or("")) : told.error();
}

Result<ArcBackend::Copy> ArcBackend::copyOf(const CallContext& ctx, const JobRef& ref,
                                            const Job& job) {
    const auto local = localOf(ctx, job.id);
    if (!local) {
        return local.error();
    }
    if (!*local) {
        return transientError("ARC does not say what became of a job");
    }
    Copy copy{.job = job, .local = **local, .isWhole = true};
    if (isArcWaiting(job.state)) {
        const auto uploaded = uploadedOf(ctx, job.id);
        if (!uploaded) {
            return uploaded.error();
        }
        copy.isWhole = isListed(*uploaded, kArcProgram);
    }
    // Whoever wants an end of it has the end of it: what nobody asked for was a copy too many.
    copy.isDead = isArcFinal(job.state) && wasArcKilledEarly({.local = copy.local}) &&
                  !readMarks(folders_, std::span(&ref, 1)).front().removed;
    return copy;
}

Result<void> ArcBackend::discard(const CallContext& ctx, const std::vector<std::string>& ids) {
    for (const auto* action : {"kill", "clean"}) {
        if (auto done = client_.demand(ctx, action, ids); !done) {
            return done;
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
    std::set<std::string> others{kInputsName, kOutputsName, kDeadlineName};
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
    const auto until =
        std::chrono::floor<std::chrono::seconds>(job.deadline.time_since_epoch()).count();
    files.push_back(noteOf(kDeadlineName, {std::to_string(until)}));
    if (const auto staged = folders_.stage(folder, files); !staged) {
        return staged.error();
    }
    return description;
}

Result<std::int64_t> ArcBackend::offsetThere(const CallContext& ctx, const std::string& id,
                                             const std::string& name) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto again = again_.find({id, name}); again != again_.end()) {
            return again->second;
        }
    }
    const auto there = client_.read(ctx, id, "in/" + name, 0, 1);
    if (!there) {
        return there.error();
    }
    return *there ? (**there).size.value_or(0) : 0;
}

std::int64_t ArcBackend::sendAgain(const std::string& id, const std::string& name) {
    const std::lock_guard lock(mutex_);
    return again_[{id, name}] = 0;
}

void ArcBackend::noteSent(const std::string& id, const std::string& name, std::int64_t offset,
                          std::int64_t size) {
    const std::lock_guard lock(mutex_);
    const auto again = again_.find({id, name});
    if (again != again_.end() && offset >= size) {
        again_.erase(again);
    } else if (again != again_.end()) {
        again->second = offset;
    }
}

Result<bool> ArcBackend::uploadFile(const CallContext& ctx, const JobRef& ref,
                                    const std::string& id, const std::string& name,
                                    std::int64_t offset, SteadyTime until) {
    while (true) {
        const std::vector<folder::ReadRequest> read{
            {{ref.key, ref.account}, "in/" + name, offset, piece_}};
        auto piece = std::move(folders_.read(read).front());
        if (!piece) {
            return piece.error();
        }
        const auto size = piece->size;
        if (offset > 0 && offset >= size) {
            // It is whole, and ARC does not know: what came it forgets with its web service.
            offset = sendAgain(id, name);
            continue;
        }
        if (!piece->exists || (piece->bytes.empty() && offset < size)) {
            return transientError("the file " + name + " of the job is not there");
        }
        const auto count = piece->bytes.size();
        const auto begin = clock_.steadyNow();
        auto brief = ctx;
        brief.deadline = std::min(ctx.deadline, begin + kPieceTime);
        auto sent =
            client_.put(brief, id, "in/" + name, offset, std::move(piece).value().bytes, size);
        notePiece(begin, sent ? std::optional(count) : std::nullopt);
        if (!sent || !*sent) {
            return sent;
        }
        offset += static_cast<std::int64_t>(count);
        noteSent(id, name, offset, size);
        if (offset >= size) {
            return sent;
        }
        if (clock_.steadyNow() >= until) {
            return false;
        }
    }
}

void ArcBackend::notePiece(SteadyTime begin, std::optional<std::size_t> bytes,
                           SteadyTime::duration time) {
    constexpr std::size_t kLeast = std::size_t{64} << 10U;
    const auto took = clock_.steadyNow() - begin;
    const std::size_t size = piece_;
    if (!bytes && took >= std::min<SteadyTime::duration>(time, kPieceTime) / 2) {
        piece_ = std::max(size / 2, kLeast);
    } else if (bytes && *bytes >= size && took < kPieceTime / 4) {
        piece_ = std::min(size * 2, kPiece);
    }
}

Result<bool> ArcBackend::upload(const CallContext& ctx, const JobRef& ref, const std::string& id,
                                bool isNew, SteadyTime until) {
    const auto names = namesIn(folders_, {ref.key, ref.account}, kInputsName);
    if (!names) {
        return names.error();
    }
    if (names->empty()) {
        return transientError("the files of the job " + ref.key.value + " are not here");
    }
    const auto uploaded = isNew ? Result<std::string>("") : uploadedOf(ctx, id);
    if (!uploaded) {
        return uploaded.error();
    }
    if (!isListed(*uploaded, kArcProgram)) {
        for (const auto& name : *names) {
            if (isListed(*uploaded, "in/" + name)) {
                continue;
            }
            const auto there = isNew ? Result<std::int64_t>(0) : offsetThere(ctx, id, name);
            if (!there) {
                return there.error();
            }
            const auto sent = uploadFile(ctx, ref, id, name, *there, until);
            if (!sent || !*sent) {
                return sent;
            }
        }
        // The job may start as soon as it is there.
        const auto program = arcProgram();
        const auto sent = client_.put(ctx, id, kArcProgram, 0, program,
                                      static_cast<std::int64_t>(program.size()));
        if (!sent || !*sent) {
            return sent;
        }
    }
    const std::lock_guard lock(mutex_);
    whole_.insert(id);
    return true;
}

bool ArcBackend::isWanted(const JobRef& ref) {
    const auto note = namesIn(folders_, {ref.key, ref.account}, kDeadlineName);
    const auto until = note && !note->empty() ? arcNumber(note->front()) : std::nullopt;
    return until && clock_.wallNow() < WallTime(std::chrono::seconds(*until)) &&
           !readMarks(folders_, std::span(&ref, 1)).front().removed;
}

void ArcBackend::uploadMore(const CallContext& ctx, std::span<const JobRef> refs,
                            const Known& known, std::vector<Observation>& seen) {
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto job = known.of(refs[i]);
        const std::lock_guard lock(mutex_);
        if (job && isArcWaiting(job->state) && !whole_.contains(job->id)) {
            waiting.push_back(i);
        }
    }
    // The states are told soon, and the next look goes on where this one ended.
    constexpr std::chrono::seconds kTime{10};
    const auto begin = clock_.steadyNow();
    const auto end = std::min(ctx.deadline, begin + kTime);
    for (std::size_t n = 0; n < waiting.size(); ++n) {
        const auto now = clock_.steadyNow();
        if (now >= end) {
            return;
        }
        const auto i = waiting[turn_++ % waiting.size()];
        const auto share = (end - now) / static_cast<std::int64_t>(waiting.size() - n);
        const auto id = known.of(refs[i])->id;
        if (!isWanted(refs[i])) {
            continue;
        }
        if (const auto sent = upload(ctx, refs[i], id, false, now + share); !sent) {
            seen[i].reason = "ARC does not have its files yet: " + sent.error().message;
        }
    }
}

Result<Submission> ArcBackend::finish(const CallContext& ctx, const BatchJob& job,
                                      const ArcEntry& entry, SteadyTime until) {
    if (entry.status / 100 != 2) {
        const auto text = "ARC refuses the job " + job.key.value + ": " + entry.reason;
        // What else goes wrong there may pass.
        const bool final = entry.reason.find("Requested queue") != std::string::npos ||
                           entry.reason.find("parsing error") != std::string::npos;
        return final ? permanentError(text) : transientError(text);
    }
    if (entry.id.empty()) {
        return uncertainError("ARC does not say the id of the job");
    }
    // It waits for its files; who observes it sends what is missing, and says what is wrong.
    static_cast<void>(upload(ctx, refOf(job), entry.id, true, until));
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
        const auto now = clock_.steadyNow();
        const auto share = (ctx.deadline - now) / static_cast<std::int64_t>(where.size() - n + 1);
        results[where[n]] = entries ? finish(ctx, jobs[where[n]], (*entries)[n], now + share)
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

}  // namespace gridbridge
