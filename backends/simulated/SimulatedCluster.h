#pragma once

#include "backends/simulated/SimulatedTables.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// The queue and the nodes of the simulated batch system: what happens to its jobs as time goes
/// on. Works on the jobs it is given and keeps nothing; whoever calls it stores them.
class SimulatedCluster {
public:
    SimulatedCluster(int slots, const SimulatedFaults& faults, folder::JobFolders& folders,
                     SimulatedWorkload& workload, SimulatedTables& tables)
        : slots_(slots), faults_(faults), folders_(folders), workload_(workload), tables_(tables) {}

    /// Everything that was to happen until `now`, in its order.
    void advance(SimulatedTables::Jobs& jobs, WallTime now);
    /// As seen from outside: neither lost nor just not listed.
    bool visible(const SimulatedJob& job, WallTime now) const;
    void cancel(SimulatedJob& job, CancelKind kind, WallTime now);
    /// How much later than they happen the job's outputs are seen.
    Millis delay(const SimulatedJob& job) const;
    /// Log and status file as they were at `then`.
    std::string log(const SimulatedJob& job, WallTime then);
    std::optional<std::string> status(const SimulatedJob& job, WallTime then);

private:
    struct Event {
        WallTime at;
        SimulatedJob* job;
        void (SimulatedCluster::*happens)(SimulatedJob&, WallTime);
    };
    std::optional<Event> next(SimulatedTables::Jobs& jobs, WallTime notBefore);
    std::optional<Event> nextOf(SimulatedJob& job);
    void start(SimulatedJob& job, WallTime at);
    void endByItself(SimulatedJob& job, WallTime at);
    void endByDeadline(SimulatedJob& job, WallTime at);
    void fail(SimulatedJob& job, WallTime at);
    void startLate(SimulatedJob& job, WallTime at);
    void lose(SimulatedJob& job, WallTime at);
    void startAgain(SimulatedJob& job, WallTime at);
    void end(SimulatedJob& job, WallTime at);
    std::int64_t printedAt(const SimulatedJob& job, WallTime then);

    int slots_;
    const SimulatedFaults& faults_;
    folder::JobFolders& folders_;
    SimulatedWorkload& workload_;
    SimulatedTables& tables_;
};

}  // namespace gridbridge
