#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/FakeClock.h"

namespace gridbridge::simulation {

/// Unwinds a call that was under way when its process was killed.
struct Killed {};

/// The threads of a simulated process. Only one of them runs at a time, and only when the
/// simulation says so, so that a run depends on nothing but its seed. A body that sleeps gives
/// the word back; time passes only while everybody sleeps.
class Actors {
public:
    explicit Actors(testing::FakeClock& clock) : clock_(clock) {}
    /// Kills everybody.
    ~Actors();
    Actors(const Actors&) = delete;
    Actors& operator=(const Actors&) = delete;

    using Id = std::size_t;
    Id add();
    bool idle(Id id) const { return actors_[id]->idle; }
    /// Gives an idle one something to do, from now on.
    void assign(Id id, std::function<void()> body);
    /// Those that are not idle and have slept enough.
    std::vector<Id> ready() const;
    /// When the next one wakes; nothing while all are idle.
    std::optional<SteadyTime> nextWake() const;
    /// Lets it run until it sleeps or is done. True = it is done. Throws Killed when it met the
    /// end of the process.
    bool resume(Id id);

    /// Called by a body. Throws Killed.
    void sleepUntil(SteadyTime deadline);

private:
    struct Actor {
        std::function<void()> body;
        bool idle = true;
        bool killed = false;
        bool died = false;
        SteadyTime wakeAt;
        std::binary_semaphore go{0};
        std::binary_semaphore back{0};
        std::thread thread;
    };
    static void live(Actor& self);

    testing::FakeClock& clock_;
    std::vector<std::unique_ptr<Actor>> actors_;
    Actor* running_ = nullptr;
};

/// A clock of the simulated world: sleeping is the actors' business, and the wall may be off.
class WorldClock final : public Clock {
public:
    explicit WorldClock(testing::FakeClock& time) : time_(time) {}
    WallTime wallNow() const override { return time_.wallNow() + off_; }
    SteadyTime steadyNow() const override { return time_.steadyNow(); }
    bool sleepUntil(SteadyTime deadline, std::stop_token stop) override {
        actors_->sleepUntil(deadline);
        return !stop.stop_requested();
    }
    void pause(Millis howLong) { actors_->sleepUntil(time_.steadyNow() + howLong); }

    void jump(Millis by) { off_ += by; }
    void use(Actors& actors) { actors_ = &actors; }

private:
    testing::FakeClock& time_;
    Millis off_{0};
    Actors* actors_ = nullptr;
};

}  // namespace gridbridge::simulation
