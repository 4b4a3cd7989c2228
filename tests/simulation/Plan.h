#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge::simulation {

/// The only source of chance of one run, the same on every machine.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    /// Uniform in [0, 1).
    double unit();
    bool chance(double probability) { return unit() < probability; }
    /// From `least` to `most`, both included.
    std::int64_t between(std::int64_t least, std::int64_t most);
    Millis time(Millis least, Millis most) { return Millis(between(least.count(), most.count())); }
    std::string word(std::size_t length);

private:
    std::mt19937_64 engine_;
};

enum class Interference {
    None,
    Cancel,       ///< A user's click.
    ForceCancel,  ///< GitLab takes the job back at once.
    Erase,
};

/// One CI job: what its script does, and what people do to it.
struct PlannedJob {
    std::string name;
    Millis at{0};  ///< When it is there for runners.
    std::chrono::seconds timeout{3600};
    Millis runTime{0};
    Millis printTime{0};
    int exitCode = 0;  ///< The script's.
    std::vector<std::string> secrets;
    std::string raw;       ///< What the script prints; `@TOKEN@` stands for the job's token.
    std::string expected;  ///< What the trace must show of it.
    Interference interference = Interference::None;
    Millis interferedAt{0};
    bool unlimited = false;  ///< The batch system lets it run on after its deadline.

    bool tooLong() const { return runTime > timeout; }
};

/// Those of docs/job-lifecycle.md.
inline constexpr std::string_view kCrashPoints[] = {"received-uncommitted",
                                                    "received",
                                                    "intent",
                                                    "effect-done",
                                                    "marked",
                                                    "id-stored",
                                                    "trace-written",
                                                    "trace-committed",
                                                    "patched",
                                                    "collected",
                                                    "reported",
                                                    "settled",
                                                    "released"};

enum class EventKind { Restart, WallJump, GitLabAway, DatabaseLocked };
struct PlannedEvent {
    Millis at{0};
    EventKind kind{};
    Millis howLong{0};  ///< Of the outage or lock, of the pause before a restart, or the jump.
    std::string_view crashPoint =
        {};         ///< Where the service dies before a restart; empty = anywhere.
    int visit = 1;  ///< The n-th time that it comes there.
};

struct Plan {
    std::uint64_t seed = 0;
    std::vector<PlannedJob> jobs;
    std::vector<PlannedEvent> events;  ///< By time.
    double gitlabFaults = 0;           ///< Rate of each kind.
    double hangs = 0;                  ///< Rate of calls to GitLab that never return.
    double backendFaults = 0;
    int slots = 4;
    Millis chaos{0};  ///< After it GitLab, network and clocks are well.
    bool jwt = false;
    bool apart = false;  ///< The cluster sees no folder: all comes with `collect`, no marker binds.
    std::optional<Millis> liveTrace = {};  ///< How long GitLab defers a report (202), if it does.

    int restarts() const;
};

/// Everything that will happen with `seed`, but for the faults of GitLab and the batch system,
/// which roll their own dice.
Plan planned(std::uint64_t seed);

}  // namespace gridbridge::simulation
