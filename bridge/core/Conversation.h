#pragma once

#include <spdlog/logger.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/core/Outage.h"
#include "bridge/core/Server.h"
#include "bridge/core/Trace.h"
#include "bridge/core/World.h"

namespace gridbridge::core {

/// Talks to GitLab about jobs, over the control lane: heartbeats, new trace bytes, final reports,
/// each when its server can take it. Decides nothing about jobs. Owner thread only; its calls
/// answer through `Answers`.
class Conversation {
public:
    static constexpr Millis kRunningBeat{30000};
    static constexpr Millis kWaitingBeat{60000};
    static constexpr Millis kLongestBeat{300000};
    /// A report waits so long at most, whatever the server or a proxy before it names.
    static constexpr Millis kLongestReportPause{300000};
    /// What a proxy answers, or a 400, is believed after this: GitLab itself takes back a job that
    /// it has not heard of for so long (protocol 7.1), and says 403 (protocol 9.4).
    static constexpr Millis kLongestRefusal = std::chrono::hours(1);

    Conversation(const Clock& clock, World& world, Answers& answers, const Trace& trace,
                 spdlog::logger& log)
        : clock_(clock), world_(world), answers_(answers), trace_(trace), log_(log) {}

    /// An open job of this runner is there, or is not any more. Heartbeats are stretched to the
    /// number of a server's open jobs.
    void opened(const Live& live) { ++server(live).openJobs; }
    void closed(const Live& live) { --server(live).openJobs; }

    /// Sends what is due for the job, if anything: new bytes, or a heartbeat; what must wait for
    /// its turn is sent by takeTurns(). Returns when it must be asked again at the latest.
    SteadyTime talk(JobRow row, Live& live);

    using Lives = std::unordered_map<JobRow, Live>;
    struct Turns {
        SteadyTime next = SteadyTime::max();  ///< When more have their turn.
        std::vector<JobRow> reports;          ///< Jobs whose report() has its turn.
    };
    Turns takeTurns(Lives& lives);
    /// Jobs that were silent, or wait to report or to upload, because of an outage that is over.
    std::vector<JobRow> woken(Lives& lives);

    /// Whether report() may be called now; otherwise takeTurns() names the job later.
    bool mayReport(JobRow row, const Live& live);
    /// Whether the job's token has died: nobody will ever take its report.
    bool outlived(const Live& live) const;
    /// Notes, and tells once, that the disk has less of the job's trace than was committed.
    /// Whether that is so now.
    bool measure(Live& live);
    /// Nothing more is said about the job, which is told once.
    void giveUp(Live& live, const std::string& why, const std::string& error);
    /// Whether nothing has been heard of the job's server for a while.
    bool away(const Live& live) { return server(live).away(); }

    /// Sends the rest of the trace and the final report; answers with a ReportFact.
    void report(JobRow row, Live& live, const gitlab::FinalReport& report);

private:
    struct Sending;

    Server& server(const Live& live) { return servers_[world_.runners.at(live.runner)->url]; }
    bool hasNews(const Live& live) const;
    void heed(const gitlab::JobAnswer& answer, Server& server);
    void beat(JobRow row, Live& live);
    void patch(JobRow row, Live& live);
    Sending sending(const Live& live) const;
    Result<std::string> nextPart(const Sending& log) const;
    Result<gitlab::JobAnswer> sendPart(const CallContext& ctx, Sending& log) const;
    Result<gitlab::JobAnswer> sendAll(const CallContext& ctx, Sending& log, bool greet) const;
    std::optional<gitlab::TraceEnd> endOf(const Sending& log) const;
    bool ends(const gitlab::JobAnswer& answer, Live& live);
    void hear(const gitlab::JobAnswer& answer, Facts& facts, Live& live);
    void judgeReport(const gitlab::JobAnswer& answer, bool success, bool refused, Facts& facts,
                     Live& live);
    void judgeAnswer(const gitlab::JobAnswer& answer, bool success, Facts& facts, Live& live);
    void hearReport(const Result<gitlab::JobAnswer>& answer, bool success, Facts& facts,
                    Live& live);
    void note(const gitlab::JobAnswer& answer, const Live& live);
    void noteReading(const Result<gitlab::JobAnswer>& answer, Live& live);

    const Clock& clock_;
    World& world_;
    Answers& answers_;
    const Trace& trace_;
    spdlog::logger& log_;
    std::map<std::string, Outage> outages_;  ///< By runner.
    std::map<std::string, Server> servers_;  ///< By url.
    Outage reading_;                         ///< Of traces, here.
    bool outageOver_ = false;
};

}  // namespace gridbridge::core
