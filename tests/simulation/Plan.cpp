#include "tests/simulation/Plan.h"

#include <algorithm>

namespace gridbridge::simulation {

using namespace std::chrono_literals;

double Dice::unit() {
    constexpr double kSteps = 9007199254740992.0;  // 2^53
    return static_cast<double>(engine_() >> 11U) / kSteps;
}

std::int64_t Dice::between(std::int64_t least, std::int64_t most) {
    const auto span = static_cast<std::uint64_t>(most - least) + 1;
    return least + static_cast<std::int64_t>(engine_() % span);
}

std::string Dice::word(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) {
        text += static_cast<char>('a' + between(0, 25));
    }
    return text;
}

int Plan::restarts() const {
    return static_cast<int>(std::count_if(events.begin(), events.end(), [](const auto& event) {
        return event.kind == EventKind::Restart;
    }));
}

namespace {

/// One piece of output, and what becomes of it: nothing of it needs the program under test.
void print(Dice& dice, PlannedJob& job) {
    const auto both = [&job](const std::string& raw, const std::string& expected) {
        job.raw += raw;
        job.expected += expected;
    };
    const std::string& secret = job.secrets[static_cast<std::size_t>(dice.between(0, 1))];
    switch (dice.between(0, 7)) {
        case 0:
            return both("password=" + secret + ";\n", "password=[MASKED];\n");
        case 1:
            return both("token @TOKEN@ used\n", "token [MASKED] used\n");
        case 2:  // almost a secret
            return both(secret.substr(0, secret.size() - 1) + "!\n",
                        secret.substr(0, secret.size() - 1) + "!\n");
        case 3:
            return both("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
                        "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
        case 4:  // no UTF-8
            return both("bad \xC3 and \xFF.\n", "bad \xEF\xBF\xBD and \xEF\xBF\xBD.\n");
        default: {
            const auto text = dice.word(static_cast<std::size_t>(dice.between(1, 70))) + "\n";
            return both(text, text);
        }
    }
}

PlannedJob plannedJob(Dice& dice, int number) {
    PlannedJob job;
    job.name = "job-" + std::to_string(number);
    job.at = dice.time(0s, 5min);
    job.secrets = {"Sec" + dice.word(17), "Key" + dice.word(29)};
    const auto pieces = dice.between(0, 80);
    for (std::int64_t i = 0; i < pieces; ++i) {
        print(dice, job);
    }
    if (dice.chance(0.05)) {  // More than is read at once.
        const auto most = static_cast<std::size_t>(dice.between(1, 3)) * 256 * 1024;
        const auto block = dice.word(1000) + "\n";
        while (job.raw.size() < most) {
            job.raw += block;
            job.expected += block;
        }
    }
    job.runTime = dice.chance(0.2) ? dice.time(4min, 12min) : dice.time(0s, 4min);
    if (dice.chance(0.1)) {
        job.timeout = std::chrono::seconds(dice.between(60, 200));
        job.unlimited = dice.chance(0.5);
        job.runTime = job.unlimited ? Millis(2h) : job.timeout * 2;
    }
    job.printTime = dice.chance(0.3) ? 0ms : Millis(job.runTime);
    job.exitCode = dice.chance(0.3) ? static_cast<int>(dice.between(1, 255)) : 0;
    if (dice.chance(0.25)) {
        constexpr Interference kKinds[] = {Interference::Cancel, Interference::Cancel,
                                           Interference::ForceCancel, Interference::Erase};
        job.interference = kKinds[dice.between(0, 3)];
        job.interferedAt = job.at + dice.time(1s, 5min);
        if (dice.chance(0.5) && !job.tooLong()) {
            job.runTime = 50min;
        }
    }
    return job;
}

void planEvents(Dice& dice, Plan& plan) {
    const auto add = [&](EventKind kind, std::int64_t most, auto howLong) {
        const auto count = dice.between(0, most);
        for (std::int64_t i = 0; i < count; ++i) {
            plan.events.push_back({dice.time(0s, plan.chaos), kind, howLong()});
        }
    };
    add(EventKind::Restart, 5, [&] { return dice.time(0s, 20s); });
    add(EventKind::GitLabAway, 2, [&] { return dice.time(10s, 8min); });
    add(EventKind::DatabaseLocked, 2, [&] { return dice.time(1s, 1min); });
    for (auto& restart : plan.events) {
        if (restart.kind == EventKind::Restart && dice.chance(0.5)) {
            const auto last = static_cast<std::int64_t>(std::size(kCrashPoints)) - 1;
            restart.crashPoint = kCrashPoints[dice.between(0, last)];
            restart.visit = static_cast<int>(dice.between(1, 4));
        }
    }
    if (dice.chance(0.5)) {  // Few jobs come there: from the beginning, and the first.
        plan.events.push_back({Millis(0), EventKind::Restart, dice.time(0s, 20s), "marked"});
    }
    if (dice.chance(0.4)) {
        add(EventKind::WallJump, 3, [&] { return dice.chance(0.5) ? Millis(1h) : Millis(-1h); });
    }
    std::stable_sort(plan.events.begin(), plan.events.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
}

}  // namespace

Plan planned(std::uint64_t seed) {
    Dice dice(seed);
    Plan plan;
    plan.seed = seed;
    plan.chaos = dice.time(8min, 15min);
    plan.gitlabFaults = dice.chance(0.8) ? dice.unit() * 0.06 : 0;
    plan.hangs = dice.chance(0.5) ? dice.unit() * 0.01 : 0;
    plan.backendFaults = dice.chance(0.8) ? dice.unit() : 0;
    plan.slots = static_cast<int>(dice.between(1, 6));
    const auto jobs = dice.between(3, 8);
    for (int number = 1; number <= jobs; ++number) {
        plan.jobs.push_back(plannedJob(dice, number));
    }
    planEvents(dice, plan);
    // Such a token dies while GitLab is away after a short job.
    const bool mayDie = std::any_of(plan.jobs.begin(), plan.jobs.end(),
                                    [](const auto& job) { return job.tooLong(); });
    plan.jwt = !mayDie && dice.chance(0.4);
    // What is deferred while GitLab's own patience with a short job ends is its affair.
    if (!mayDie && dice.chance(0.3)) {
        plan.liveTrace = dice.time(1s, 4min);
    }
    plan.apart = dice.chance(0.25);
    return plan;
}

}  // namespace gridbridge::simulation
