#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "tests/fakegitlab/Faults.h"
#include "tests/fakegitlab/Types.h"

namespace gridbridge::fakegitlab {

/// A stand-in GitLab: the runner API of protocol section 10 with a real server's answers, stricter
/// than a real one, on 127.0.0.1 or in process. It keeps everything in memory.
/// Safe for concurrent use. Unknown job ids in calls of a test abort the test. With
/// FAKEGITLAB_ANSWERS=FOLDER in the environment it leaves there what it answered (Answers.h).
class FakeGitLab {
public:
    /// Listens when it returns (unless options.listen is false). `clock` must outlive it and
    /// drives all timers. Throws std::exception when the port is taken.
    explicit FakeGitLab(Clock& clock, Options options = {});
    ~FakeGitLab();
    FakeGitLab(const FakeGitLab&) = delete;
    FakeGitLab& operator=(const FakeGitLab&) = delete;

    /// `http://127.0.0.1:<port><root>`, or https
    std::string url() const;
    std::uint16_t port() const;
    /// One request without a socket: what a simulation uses. Ignores Reply::delay.
    Reply handle(const Request& request);

    /// A runner as somebody created it in the web pages; returns its GitLab id.
    std::int64_t addRunner(RunnerSpec spec);
    std::int64_t addRunner(const std::string& token) { return addRunner(RunnerSpec{token}); }
    void setRunnerPaused(const std::string& token, bool paused);
    void removeRunner(const std::string& token);
    /// All there are, in no order.
    std::vector<RunnerSpec> runners() const;
    /// Features the manager declared, as the server remembers them; nullopt = no such manager.
    std::optional<std::vector<std::string>> managerFeatures(const std::string& token,
                                                            const std::string& systemId);

    /// Adds a pending job (created while its stage waits).
    JobId addJob(JobSpec spec);
    /// From now on jobs of these stages wait until all jobs of earlier stages have ended. Jobs
    /// of other stages never wait. Call it before the jobs are added.
    void setStages(std::vector<std::string> stages);
    /// Commits the files of `directory` on `ref` of `project` (made when new); the sha.
    /// Needs options.repositories. Call it before jobs of the project are added.
    std::string commit(const std::string& project, const std::filesystem::path& directory,
                       const std::string& ref = "main");

    /// A user's click: running becomes canceling when the runner manager declared
    /// cancel_gracefully, else canceled.
    void cancel(JobId id);
    void forceCancel(JobId id);
    void erase(JobId id);
    void deleteProject(const std::string& project);
    /// The job's artifacts are gone: downloads 404, dependents fail at their claim.
    void expireArtifacts(JobId id);
    /// The job's archive becomes what somebody else has uploaded for it.
    void replaceArchive(JobId id, std::string bytes);
    /// The server loses the log, as after a Redis flush.
    void forgetTrace(JobId id);

    JobSnapshot job(JobId id) const;
    Status status(JobId id) const;
    std::vector<JobId> jobs() const;
    bool allEnded() const;
    std::vector<RequestRecord> requests() const;
    /// Calls of jobs/request that long polling holds now.
    int held() const;
    /// Every breach of the protocol by a client, as sentences.
    std::vector<std::string> violations() const;

    /// All timers, now. Requests run them too.
    void runReapers();
    /// How long the calls below wait by default: GitLab is asked about a waiting job once a minute,
    /// and a busy disk has taken half a minute for one sync.
    static constexpr Millis kPatience = std::chrono::minutes(3);
    /// Waits until `condition` (called without locks, after every request and every 20 ms) holds;
    /// false after `limit` of real time.
    bool waitUntil(const std::function<bool()>& condition, Millis limit = kPatience) const;
    bool waitForStatus(JobId id, Status wanted, Millis limit = kPatience) const;
    bool waitForTrace(JobId id, const std::string& text, Millis limit = kPatience) const;
    bool waitForAllEnded(Millis limit = kPatience) const;
    /// Until what clients had sent when they died is answered and no client is connected.
    bool waitUntilAlone(Millis limit = kPatience) const;

    /// Seeds the faults and sets every kind to `rate`.
    void setFaults(std::uint64_t seed, double rate);
    void setFault(FaultKind kind, double rate, Call at = Call::Any);
    void failNext(FaultKind kind, int count = 1, Call at = Call::Any);
    /// How often each kind struck.
    std::map<FaultKind, std::uint64_t> faults() const;

    /// An outage: connections close without an answer and without effect.
    void goAway();
    void comeBack();
    /// New connections get the certificate that the files of Options::tls hold now.
    void renewCertificate();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gridbridge::fakegitlab
