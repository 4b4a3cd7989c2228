#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"
#include "bridge/folder/Account.h"

namespace gridbridge::folder {

/// The agent of one account: a child of ours, started when it is needed, and anew when it died.
/// Whoever calls holds `turn`. An agent that hangs is given up: its job's account may have stopped
/// it, and one that sudo started we may not even kill.
class AgentChild {
public:
    /// `argv` is what the account runs; `limit` bounds its start and each answer. `clock` must
    /// outlive it.
    AgentChild(Account account, std::vector<std::string> argv, Clock& clock, Millis limit);
    AgentChild(const AgentChild&) = delete;
    AgentChild& operator=(const AgentChild&) = delete;
    /// Ends the agent; waits for that a few seconds at most.
    ~AgentChild();

    /// Transient, with what it said: it does not start; so soon again it is not even tried.
    Result<void> start();
    /// One answer to one request. Transient: the request did not get there;
    /// Uncertain: the answer did not come.
    Result<std::string> exchange(std::string_view request);
    /// Ends it for an answer that cannot be right.
    Error drop();

    const Account& account() const { return account_; }
    std::mutex turn;

private:
    struct Process {
        pid_t pid = 0;
        Fd handle = {};  ///< pidfd.
    };
    Result<void> launch();
    Error failed(const std::string& why);
    void giveUp();
    void reapEnded();

    const Account account_;
    const std::vector<std::string> argv_;
    Clock& clock_;
    const Millis limit_;
    Process process_;
    Fd line_;    ///< Its standard input and output; invalid = none runs.
    Fd errors_;  ///< Its standard error.
    std::vector<Process> givenUp_;
    SteadyTime startAgainAt_{};
    std::string lastFailure_;
};

}  // namespace gridbridge::folder
