#include "backends/arc/ArcPatience.h"

#include <algorithm>

namespace gridbridge {
namespace {

constexpr std::chrono::seconds kLongest{5};
constexpr int kMostHangs = 2;

}  // namespace

CallContext ArcPatience::briefly(const CallContext& ctx) const {
    auto brief = ctx;
    brief.deadline = std::min(ctx.deadline, clock_.steadyNow() + kLongest);
    return brief;
}

std::string ArcPatience::refusal(const CallContext& ctx, Turn& turn, const Name& name) const {
    const auto now = clock_.steadyNow();
    turn.left = !turn.away && now < ctx.deadline;
    if (!turn.left) {
        turn.over = true;
        return "ARC does not answer";
    }
    {
        const std::lock_guard lock(mutex_);
        const auto hung = hung_.find(name);
        if (hung != hung_.end() && now < hung->second.until) {
            return "ARC does not give the job's files";
        }
    }
    if (turn.hangs >= kMostHangs || now >= turn.until) {
        turn.over = true;
        return "the files of other jobs took all the time: those of this one come first next time";
    }
    turn.left = false;
    return {};
}

void ArcPatience::judge(const CallContext& ctx, const CallContext& brief, Turn& turn,
                        const Name& name, const Error* error) {
    if (error == nullptr) {
        const std::lock_guard lock(mutex_);
        hung_.erase(name);
        return;
    }
    const bool isEndless = error->kind == ErrorKind::Permanent;
    const bool hangs = clock_.steadyNow() >= brief.deadline && brief.deadline < ctx.deadline;
    if (!isEndless && !hangs) {
        return;
    }
    turn.hangs += hangs ? 1 : 0;
    // This file, or all of ARC?
    if (!isEndless && !client_.diagnose(briefly(ctx), name.first, "local")) {
        turn.away = true;
        return;
    }
    turn.left = true;
    // Or the disk that all jobs' files are on? A job's own folder is made by ARC.
    const bool isAgain = hasHung(name.first, name.second) && !isEndless;
    const auto top = isAgain ? client_.folder(briefly(ctx), name.first, "")
                             : Result<std::optional<ArcFolder>>(std::optional<ArcFolder>());
    const bool isGuilty = top || top.error().kind == ErrorKind::Permanent;
    constexpr int kMost = 6;  // An hour.
    const std::lock_guard lock(mutex_);
    auto& hung = hung_[name];
    hung.times = isGuilty ? hung.times + 1 : 1;
    hung.until = clock_.steadyNow() + std::chrono::minutes(1 << std::min(hung.times - 1, kMost));
}

bool ArcPatience::hasHung(const std::string& id, const std::string& file) const {
    const std::lock_guard lock(mutex_);
    return hung_.contains({id, file});
}

void ArcPatience::forget(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(hung_, [&](const auto& each) { return each.first.first == id; });
}

}  // namespace gridbridge
