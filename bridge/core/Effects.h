#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/core/World.h"
#include "bridge/payload/JobScript.h"
#include "bridge/store/JobRecord.h"

namespace gridbridge::core {

/// A submission that is ready to go out.
struct ReadySubmission {
    JobRow row{};
    int attempt = 0;
    Result<BatchJob> job;
};

/// Carries effects on batch systems out over the lanes of their backends; everything they bring
/// comes back through `Answers`. Owner thread only. Each effect marks itself in `Live::inFlight`.
class Effects {
public:
    Effects(Clock& clock, World& world, Answers& answers)
        : clock_(clock), world_(world), answers_(answers) {}

    void find(BackendEntry& entry, const store::JobRecord& job, Live& live);
    void mark(BackendEntry& entry, const store::JobRecord& job, Live& live);
    void readBatchLog(BackendEntry& entry, const store::JobRecord& job, Live& live);
    /// CancelSoft, CancelHard, Collect or Release, with the next `startGathered`. What has gathered
    /// when the lane comes to it, of this step and of later ones, is one call: each may ask the
    /// batch system for its whole queue. The effects take turns, so that ends need not wait until
    /// all that is new has been submitted; in a folder that we see they do not wait for
    /// submissions.
    void gather(Effect effect, BackendEntry& entry, const store::JobRecord& job, Live& live);
    /// Gathered like these.
    void submit(BackendEntry& entry, ReadySubmission job);
    void startGathered();
    /// Gets what the jobs made that it depends on into the folder of the attempt; without its
    /// description that fails.
    void download(BackendEntry& entry, const store::JobRecord& job, Live& live,
                  const Result<std::shared_ptr<const gitlab::JobDescription>>& description);
    /// Packs and uploads the archives of a collected job; without its description that fails.
    /// `statusAt`: when its status file was first seen; the backend's settle time later what it
    /// states and is not here has failed.
    void upload(BackendEntry& entry, const store::JobRecord& job, Live& live,
                const Result<std::shared_ptr<const gitlab::JobDescription>>& description,
                SteadyTime statusAt);
    /// As few observe calls for `jobs` and their logs as the backend's batch limit allows.
    void look(BackendEntry& entry, std::vector<Look> jobs, bool poll);
    void probe(BackendEntry& entry);

private:
    struct Gathered {
        JobRow row{};
        int attempt = 0;
        std::variant<JobRef, BatchJob> what;  ///< BatchJob for Submit.
    };
    struct Gathering {
        std::deque<Gathered> jobs;
        std::size_t fresh = 0;  ///< For which no call is planned yet.
    };
    struct OfLane {
        std::map<Effect, Gathering> byEffect;
        Effect last{};  ///< Whose turn it was.
    };
    void add(Effect effect, const BackendEntry& entry, Gathered job);
    std::pair<Effect, std::vector<Gathered>> takeGathered(const BackendEntry& entry, bool apart);
    void call(BackendEntry& entry, Effect effect, std::span<Gathered> jobs, std::stop_token stop);
    /// Adds lines to the job's log from any thread while a transfer goes on.
    std::function<void(std::vector<std::string>)> teller(const store::JobRecord& job);
    /// Why the backend could not say anything; empty = it could.
    std::string lookAt(BackendEntry& entry, std::span<const Look> jobs, std::stop_token stop);
    CallContext within(Millis limit, std::stop_token stop) const {
        return {clock_.steadyNow() + limit, std::move(stop)};
    }

    Clock& clock_;
    World& world_;
    Answers& answers_;
    std::mutex mutex_;
    /// By the name of the backend, and whether another lane than `effects` carries it out.
    std::map<std::pair<std::string, bool>, OfLane> gathered_;
};

JobRef refOf(const store::JobRecord& job);
Look lookOf(const store::JobRecord& job);
/// The status file as a fact; `valid` is false when it cannot be understood.
ScriptEnd scriptEnd(const std::string& text, const std::string& nonce);

}  // namespace gridbridge::core
