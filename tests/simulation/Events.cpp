// What happens to the simulated world from outside.
#include "tests/simulation/Simulation.h"

namespace gridbridge::simulation {

using namespace std::chrono_literals;

void Simulation::happen(const PlannedEvent& event) {
    switch (event.kind) {
        case EventKind::Restart:
            ++happened_["restart"];
            if (event.crashPoint.empty()) {
                end(event.howLong);
            } else {
                kills_.push_back(event);
            }
            return;
        case EventKind::WallJump:
            ++happened_["wall clock jump"];
            tell("the wall clock of the service jumps by " +
                 std::to_string(event.howLong.count() / 1000) + " s");
            serviceClock_.jump(event.howLong);
            return;
        case EventKind::GitLabAway:
            ++happened_["gitlab away"];
            tell("GitLab is away");
            ++away_;
            gitlab_.goAway();
            later_.emplace_back(time_.steadyNow() + event.howLong, [this] {
                if (--away_ == 0) {
                    tell("GitLab is back");
                    gitlab_.comeBack();
                }
            });
            return;
        case EventKind::DatabaseLocked:
            if (person_ || !life_) {
                return;
            }
            ++happened_["database locked"];
            tell("a person locks the database");
            person_ = std::make_unique<testing::Person>(stateDir() / "gridbridge.db");
            person_->execute("BEGIN IMMEDIATE");
            later_.emplace_back(time_.steadyNow() + event.howLong, [this] {
                tell("the person is done");
                person_.reset();
            });
            return;
    }
}

/// Offers the job to runners, and plans what people will do to it.
void Simulation::interfere(const PlannedJob& job) {
    fakegitlab::JobSpec spec;
    spec.name = job.name;
    spec.timeout = job.timeout;
    spec.token = plan_.jwt ? fakegitlab::TokenForm::Jwt : fakegitlab::TokenForm::Opaque;
    spec.variables = {{.key = "FIRST", .value = job.secrets[0], .masked = true},
                      {.key = "SECOND", .value = job.secrets[1], .masked = true}};
    const auto id = gitlab_.addJob(spec);
    ids_[job.name] = id;
    tell("gitlab: " + job.name + " is job " + std::to_string(id));
    if (job.interference == Interference::None) {
        return;
    }
    later_.emplace_back(start_ + job.interferedAt, [this, id, kind = job.interference] {
        if (isEnded(gitlab_.status(id))) {
            return;
        }
        ++happened_["interference"];
        if (kind == Interference::Cancel) {
            gitlab_.cancel(id);
        } else if (kind == Interference::ForceCancel) {
            gitlab_.forceCancel(id);
        } else {
            gitlab_.erase(id);
        }
    });
}

void Simulation::calmDown() {
    calm_ = true;
    tell("from now on GitLab, network and clocks are well");
    gitlab_.setFaults(plan_.seed, 0);
    network_.hang(0);
    kills_.clear();
}

}  // namespace gridbridge::simulation
