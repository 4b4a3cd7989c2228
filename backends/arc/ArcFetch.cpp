// What comes back of a job.
#include <algorithm>

#include "backends/api/CarriedFiles.h"
#include "backends/arc/ArcBackend.h"

namespace gridbridge {
namespace {

/// More of these says nothing that matters: of the status file one byte too many is invalid.
constexpr std::int64_t kMostStatus = 4097;
constexpr std::int64_t kMostBatchLog = std::int64_t{256} << 10;
/// No runner shows more of a log.
constexpr std::int64_t kMostLog = std::int64_t{1} << 30;
/// Of all else, which GitLab takes in parts of ten at most.
constexpr std::int64_t kMostOutputs = std::int64_t{32} << 30;

}  // namespace

Result<std::optional<ArcBytes>> ArcBackend::pieceOf(const CallContext& ctx, const std::string& id,
                                                    const std::string& file, std::int64_t offset,
                                                    std::int64_t limit) {
    const auto begin = clock_.steadyNow();
    auto brief = ctx;
    brief.deadline = std::min(ctx.deadline, begin + kPieceTime);
    auto piece = client_.read(brief, id, file, offset, static_cast<std::size_t>(limit));
    notePiece(begin, piece && *piece ? std::optional((**piece).bytes.size()) : std::nullopt,
              brief.deadline - begin);
    return piece;
}

Result<ArcBackend::Fetched> ArcBackend::fetch(const CallContext& ctx, const JobRef& ref,
                                              const std::string& id, const Wanted& file) {
    const folder::FolderRef folder{ref.key, ref.account};
    const std::vector<folder::ReadRequest> kept{{folder, file.name, 0, 0}};
    const auto here = std::move(folders_.read(kept).front());
    if (!here) {
        return here.error();
    }
    auto offset = here->size;
    while (!file.cut || offset < file.most) {
        const auto limit =
            std::clamp<std::int64_t>(file.most - offset, 1, static_cast<std::int64_t>(piece_));
        const auto piece = pieceOf(ctx, id, file.from + file.name, offset, limit);
        if (!piece) {
            return piece.error();
        }
        if (!*piece || (**piece).size.value_or(offset) < offset) {
            return Fetched{.isGiven = false};
        }
        const auto& [bytes, size] = **piece;
        const auto end = offset + static_cast<std::int64_t>(bytes.size());
        const bool isTooLong = !file.cut && std::max(end, size.value_or(0)) > file.most;
        const auto written = folders_.append(folder, "out/" + file.name, isTooLong ? 0 : offset,
                                             isTooLong ? std::string_view() : bytes);
        if (!written) {
            return written.error();
        }
        offset = end;
        if (isTooLong || (size ? offset >= *size : bytes.empty())) {
            return Fetched{.isTooLong = isTooLong, .size = isTooLong ? 0 : offset};
        }
        if (bytes.empty()) {
            return transientError("ARC gives less of the file " + file.name + " than it has");
        }
    }
    return Fetched{.size = offset};
}

std::int64_t ArcBackend::sizeHere(const JobRef& ref, const std::string& name) {
    const std::vector<folder::ReadRequest> asked{{{ref.key, ref.account}, name, 0, 0}};
    const auto here = std::move(folders_.read(asked).front());
    return here ? here->size : 0;
}

Result<bool> ArcBackend::fetchEach(const CallContext& ctx, const JobRef& ref, const std::string& id,
                                   const std::optional<std::set<std::string>>& there,
                                   std::string& dropped) {
    auto names = namesIn(folders_, {ref.key, ref.account}, kOutputsName);
    if (!names) {
        return names.error();
    }
    bool isAll = true;
    auto left = kMostOutputs;
    for (const auto& name : *names) {
        if (there && !there->contains(name)) {
            continue;  // Or it is none that can be read.
        }
        Wanted file{.from = "out/", .name = name, .most = left};
        if (name == "status" || name == "log") {
            file.cut = name == "status";
            file.most = file.cut ? kMostStatus : kMostLog;
        }
        // What is not listed may hang.
        const auto brief = there ? ctx : patience_.briefly(ctx);
        const auto before = sizeHere(ref, name);
        const auto fetched = fetch(brief, ref, id, file);
        const bool hangs = !there && clock_.steadyNow() >= brief.deadline;
        if (!fetched && (!hangs || sizeHere(ref, name) > before)) {
            return fetched.error();
        }
        isAll = isAll && fetched && fetched->isGiven;
        if (fetched && fetched->isTooLong) {
            dropped += (dropped.empty() ? "" : ", ") + name;
        }
        left -= fetched && name != "log" ? fetched->size : 0;
    }
    return isAll;
}

void ArcBackend::fetchBatchLog(const CallContext& ctx, const JobRef& ref, const std::string& id) {
    const auto top = client_.folder(patience_.briefly(ctx), id, "");
    if (top && *top && (**top).files.contains("batch.log")) {
        static_cast<void>(fetch(
            ctx, ref, id, {.from = "", .name = "batch.log", .most = kMostBatchLog, .cut = true}));
    }
}

bool ArcBackend::mayHaveStarted(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto end = ended_.find(id);
    return started_.contains(id) || (end != ended_.end() && end->second.started);
}

Result<std::optional<ArcBackend::Job>> ArcBackend::endedOf(const CallContext& ctx,
                                                           const JobRef& ref) {
    constexpr std::chrono::seconds kFresh{10};
    const auto now = clock_.steadyNow();
    const auto isEnd = [](const std::optional<Job>& job) { return job && isArcFinal(job->state); };
    if (lookedForEnds_ > now - kFresh && !ref.id.value.empty() && isEnd(ends_.of(ref))) {
        return ends_.of(ref);
    }
    auto known = look(ctx, std::span(&ref, 1), false);
    if (!known) {
        return known.error();
    }
    lookedForEnds_ = now;
    ends_ = std::move(known).value();
    return ends_.of(ref);
}

Result<std::optional<std::set<std::string>>> ArcBackend::outputsOf(const CallContext& ctx,
                                                                   const std::string& id) {
    using Names = std::optional<std::set<std::string>>;
    // Whatever was thought of it before: it is one job, and the only copy of what it left.
    const auto brief = patience_.briefly(ctx);
    const auto out = client_.folder(brief, id, "out");
    if (out && *out) {
        const auto& files = (**out).files;
        const bool isEmpty = !files.contains("log") && !files.contains("status");
        const bool started = files.contains("started") || mayHaveStarted(id);
        return isEmpty && started ? Names() : Names(files);
    }
    if (!out && out.error().kind != ErrorKind::Permanent && clock_.steadyNow() < brief.deadline) {
        return out.error();
    }
    // What a job can do to its own files it cannot do to the folder that ARC made for it.
    const auto top = client_.folder(patience_.briefly(ctx), id, "");
    if (!top && top.error().kind != ErrorKind::Permanent) {
        return top.error();
    }
    if (top && !*top) {
        return transientError("ARC does not give the job's folder");
    }
    const bool isNone = top && !(**top).folders.contains("out") && !mayHaveStarted(id);
    return isNone ? Names(std::in_place) : Names();
}

bool ArcBackend::isLongInDoubt(const std::string& id) {
    constexpr std::chrono::minutes kLongest{10};
    constexpr int kLeastTimes = 5;
    const auto now = clock_.steadyNow();
    const std::lock_guard lock(mutex_);
    auto& doubt = doubts_.try_emplace(id, Doubt{now}).first->second;
    return ++doubt.times >= kLeastTimes && now - doubt.since >= kLongest;
}

void ArcBackend::endDoubt(const std::string& id) {
    const std::lock_guard lock(mutex_);
    doubts_.erase(id);
}

Result<void> ArcBackend::fetchAll(const CallContext& ctx, const JobRef& ref,
                                  const std::string& id) {
    const auto there = outputsOf(ctx, id);
    if (!there) {
        endDoubt(id);
        return there.error();
    }
    std::string dropped;
    const auto isAll = fetchEach(ctx, ref, id, *there, dropped);
    if (!isAll) {
        endDoubt(id);
        return isAll.error();
    }
    // A-REX answers 404 also for what it cannot open just now, and the job is removed afterwards.
    if (!(*isAll && *there) && !isLongInDoubt(id)) {
        return transientError("ARC does not give all files of the job " + ref.key.value);
    }
    fetchBatchLog(ctx, ref, id);
    if (!dropped.empty()) {
        tell_("of the job " + ref.key.value +
              " these files are lost, for they are too long: " + dropped);
    }
    return {};
}

Result<CollectOutcome> ArcBackend::collectOne(const CallContext& ctx, const JobRef& ref) {
    const auto looked = endedOf(ctx, ref);
    if (!looked) {
        return withoutEffect(looked.error());
    }
    const auto& job = *looked;
    if (!job) {
        return transientError("ARC does not know the job");
    }
    if (!isArcFinal(job->state)) {
        return CollectOutcome::NotYet;
    }
    if (job->state == "FINISHED") {  // Its program has run to its end.
        const std::lock_guard lock(mutex_);
        started_.insert(job->id);
    }
    const auto fetched = fetchAll(ctx, ref, job->id);
    return fetched ? syncCarried(commands_, folders_, ref, ctx)
                   : Result<CollectOutcome>(withoutEffect(fetched.error()));
}

std::vector<Result<CollectOutcome>> ArcBackend::collect(const CallContext& ctx,
                                                        std::span<const JobRef> refs) {
    return collectCarried(folders_, refs, [&](const JobRef& ref) { return collectOne(ctx, ref); });
}

}  // namespace gridbridge
