#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::core {

/// Calls about jobs that wait for their turn.
enum class Turn { Beat, Patch, Report };

/// One GitLab server: who may talk to it, and when. Heartbeats go out oldest contact first and at
/// most 50 a second, so that no start and no outage ends with all jobs speaking at once. A server
/// that does not answer is asked by one call at a time; once it does, overdue heartbeats come
/// first, then logs, then reports. Owner thread only, but for `underWay`.
class Server {
public:
    static constexpr Millis kBeatGap{20};
    static constexpr int kBeatsAtOnce = 5;
    /// What has no thread yet would only grow old in the lane.
    static constexpr int kMostUnderWay = 16;
    /// So many calls in a row without an answer are an outage, not the trouble of one job.
    static constexpr int kAway = 3;
    static constexpr Millis kLongestPause{15000};

    struct Call {
        Turn turn;
        JobRow row;
    };

    int openJobs = 0;
    std::atomic<int> underWay{0};  ///< Heartbeats.

    bool away() const { return failures_ >= kAway; }
    /// Whether what is neither a heartbeat nor first in its queue must wait.
    bool makesWait() const { return away() || late() || !patches_.empty() || !reports_.empty(); }
    /// `contact`: of the job with this server, the last one; waits for its turn.
    void wantBeat(JobRow row, SteadyTime contact) { beats_.emplace(contact, row); }
    void wantPatch(JobRow row) { patches_.insert(row); }
    void wantReport(JobRow row) { reports_.insert(row); }

    /// The next call whose turn has come; asked until there is none.
    std::optional<Call> next(SteadyTime now);
    /// When to ask `next` again if no answer comes before.
    SteadyTime nextAt() const;

    /// True = an outage ends with this answer.
    bool answered(SteadyTime now);
    void failed(SteadyTime now);

private:
    /// Whether heartbeats are overdue since an outage.
    bool late() const { return !beats_.empty() && beats_.begin()->first < back_; }
    bool mayBeat(SteadyTime now) const;
    std::optional<Call> beat(SteadyTime now);
    std::optional<Call> other();

    std::set<std::pair<SteadyTime, JobRow>> beats_;
    std::set<JobRow> patches_;
    std::set<JobRow> reports_;
    SteadyTime beatAt_ = {};
    SteadyTime askAt_ = {};  ///< While it is away.
    SteadyTime back_ = {};   ///< When it answered again.
    int failures_ = 0;
};

}  // namespace gridbridge::core
