#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <optional>
#include <stop_token>

#include "bridge/base/Random.h"
#include "bridge/core/Capacity.h"
#include "bridge/core/Health.h"
#include "bridge/core/Outage.h"
#include "bridge/core/TokenRotation.h"
#include "bridge/core/World.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::core {

/// Asks GitLab for jobs of one runner while there is a place for one; what it gets is stored
/// before anything else is done with it. A runner whose claims GitLab refuses pauses them; its
/// health in the database says so. Runs in a thread of its own. `interval` is the time between two
/// questions without an answer; another thread may change it.
class Claimer {
public:
    Claimer(Clock& clock, store::JobStore& store, const RunnerEntry& runner, Capacity& capacity,
            Answers& answers, spdlog::logger& log, const std::atomic<Millis>& interval)
        : clock_(clock),
          store_(store),
          runner_(runner),
          capacity_(capacity),
          answers_(answers),
          log_(log),
          interval_(interval) {}

    /// What a verification of the runner's token has said: for the runner's row.
    void heard(const gitlab::VerifyAnswer& answer);

    /// Claims until `stop`, and lets `rotation` renew the runner's token between two claims.
    /// Throws StoreError when a claim cannot be stored.
    void run(TokenRotation& rotation, std::stop_token stop);

    /// One attempt; returns how long to wait before the next.
    Millis step(std::stop_token stop);

private:
    /// Stores a claim; nothing only when the service stops while it cannot.
    std::optional<JobRow> keep(const gitlab::ClaimAnswer& answer, std::stop_token stop);
    bool canStore();
    void heedToken();
    /// `asked`: the question was sent with a value, so that GitLab may have held it, and when.
    Millis handle(const gitlab::ClaimAnswer& answer, std::optional<SteadyTime> asked);
    void answered();
    void refused(const std::string& message);
    /// GitLab has answered.
    void heard();
    /// What the runner's row is to say; a database that is locked or full gets it later.
    void saveHealth();
    void saveContact();
    template <typename Action>
    bool saved(Action action);
    /// A full or drained runner stays online at GitLab (protocol 7.3): else it drops the jobs that
    /// wait for it after an hour.
    void keepContact(std::stop_token stop);

    Clock& clock_;
    store::JobStore& store_;
    const RunnerEntry& runner_;
    Capacity& capacity_;
    Answers& answers_;
    spdlog::logger& log_;
    const std::atomic<Millis>& interval_;
    std::string lastUpdate_;
    int identity_ = 0;  ///< Version; GitLab keeps `lastUpdate_` per token (protocol 2.2).
    int failures_ = 0;
    bool toldCutOff_ = false;
    Outage outage_;
    Outage lock_;  ///< Of the database.
    Health health_;
    std::optional<std::string> unsaved_;    ///< Health that is not in the database yet.
    std::optional<WallTime> heardAt_;       ///< Not in the database yet.
    std::optional<std::int64_t> gitlabId_;  ///< Not in the database yet.
    std::optional<SteadyTime> contactSavedAt_;
    SteadyTime contactAt_ = clock_.steadyNow();  ///< The last one.
};

}  // namespace gridbridge::core
