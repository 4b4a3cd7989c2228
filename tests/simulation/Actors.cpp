#include "tests/simulation/Actors.h"

#include <algorithm>
#include <utility>

#include "bridge/base/Check.h"

namespace gridbridge::simulation {

Actors::~Actors() {
    for (auto& actor : actors_) {
        actor->killed = true;
        actor->go.release();
        actor->thread.join();
    }
}

Actors::Id Actors::add() {
    auto& actor = *actors_.emplace_back(std::make_unique<Actor>());
    actor.thread = std::thread([&actor] { live(actor); });
    return actors_.size() - 1;
}

void Actors::live(Actor& self) {
    for (;;) {
        self.go.acquire();
        if (self.killed) {
            return;
        }
        try {
            self.body();
        } catch (const Killed&) {
            if (!self.killed) {
                self.died = true;
                self.back.release();
            }
            return;
        }
        self.idle = true;
        self.back.release();
    }
}

void Actors::assign(Id id, std::function<void()> body) {
    auto& actor = *actors_[id];
    BRIDGE_CHECK(actor.idle);
    actor.idle = false;
    actor.wakeAt = clock_.steadyNow();
    actor.body = std::move(body);
}

std::vector<Actors::Id> Actors::ready() const {
    std::vector<Id> ids;
    for (Id id = 0; id < actors_.size(); ++id) {
        if (!actors_[id]->idle && actors_[id]->wakeAt <= clock_.steadyNow()) {
            ids.push_back(id);
        }
    }
    return ids;
}

std::optional<SteadyTime> Actors::nextWake() const {
    std::optional<SteadyTime> next;
    for (const auto& actor : actors_) {
        if (!actor->idle) {
            next = std::min(next.value_or(actor->wakeAt), actor->wakeAt);
        }
    }
    return next;
}

bool Actors::resume(Id id) {
    running_ = actors_[id].get();
    running_->go.release();
    running_->back.acquire();
    const auto& actor = *std::exchange(running_, nullptr);
    if (actor.died) {
        throw Killed{};
    }
    return actor.idle;
}

void Actors::sleepUntil(SteadyTime deadline) {
    auto& self = *running_;
    self.wakeAt = deadline;
    self.back.release();
    self.go.acquire();
    if (self.killed) {
        throw Killed{};
    }
}

}  // namespace gridbridge::simulation
