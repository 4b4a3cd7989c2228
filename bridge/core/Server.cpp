#include "bridge/core/Server.h"

#include <algorithm>

namespace gridbridge::core {

namespace {

constexpr Millis kFirstPause{250};

template <typename Set>
auto takeFirst(Set& rows) {
    const auto row = *rows.begin();
    rows.erase(rows.begin());
    return row;
}

}  // namespace

std::optional<Server::Call> Server::next(SteadyTime now) {
    if (away()) {
        if (now < askAt_ || underWay >= kMostUnderWay) {
            return std::nullopt;
        }
        askAt_ = now + kLongestPause;  // Unless the answer says otherwise.
        return beats_.empty() ? other() : beat(now);
    }
    if (mayBeat(now)) {
        return beat(now);
    }
    return late() ? std::nullopt : other();
}

bool Server::mayBeat(SteadyTime now) const {
    return !beats_.empty() && underWay < kMostUnderWay &&
           beatAt_ <= now + kBeatGap * (kBeatsAtOnce - 1);
}

std::optional<Server::Call> Server::beat(SteadyTime now) {
    beatAt_ = std::max(beatAt_, now) + kBeatGap;
    return Call{Turn::Beat, takeFirst(beats_).second};
}

std::optional<Server::Call> Server::other() {
    if (!patches_.empty()) {
        return Call{Turn::Patch, takeFirst(patches_)};
    }
    if (!reports_.empty()) {
        return Call{Turn::Report, takeFirst(reports_)};
    }
    return std::nullopt;
}

SteadyTime Server::nextAt() const {
    if (away()) {
        return beats_.empty() && patches_.empty() && reports_.empty() ? SteadyTime::max() : askAt_;
    }
    return beats_.empty() || underWay >= kMostUnderWay ? SteadyTime::max() : beatAt_;
}

bool Server::answered(SteadyTime now) {
    const bool was = away();
    failures_ = 0;
    if (was) {
        back_ = now;
    }
    return was;
}

void Server::failed(SteadyTime now) {
    ++failures_;
    askAt_ = now + std::min(kLongestPause, kFirstPause * (1 << std::min(failures_, 7)));
}

}  // namespace gridbridge::core
