// kill -9 at every crash point and at random moments, and all that a network can do at once:
// nothing lost, nothing doubled, no byte wrong, no secret out.
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/e2e/Service.h"
#include "tests/fakes/LaterClock.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::FaultKind;
using fakegitlab::JobId;
using fakegitlab::Status;

constexpr int kJobs = 20;
constexpr int kLines = 40;
constexpr auto kRegistrationToken = "GR1348941crash";
constexpr auto kSecret = "s3cr3t-of-this-job";
constexpr auto kPoints = {
    "received-uncommitted", "received", "intent",    "effect-done", "id-stored", "trace-written",
    "trace-committed",      "patched",  "collected", "reported",    "settled",   "released"};

/// Looks all the time for a text in the arguments of every process of the machine.
class ArgumentWatch {
public:
    explicit ArgumentWatch(std::string text) : text_(std::move(text)) {}
    bool seen() const { return seen_; }

private:
    void watch(std::stop_token stop) {
        while (!stop.stop_requested() && !seen_) {
            std::error_code gone;
            for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
                std::ifstream in(process.path() / "cmdline", std::ios::binary);
                for (std::string argument; std::getline(in, argument, '\0');) {
                    seen_ = seen_ || argument.find(text_) != std::string::npos;
                }
            }
        }
    }

    std::string text_;
    std::atomic<bool> seen_{false};
    std::jthread thread_{[this](std::stop_token stop) { watch(stop); }};
};

class CrashEndToEnd : public EndToEnd {
protected:
    /// Jobs that print numbered lines and a secret, and count their own starts in a file.
    void addJobs(int count) {
        for (int i = static_cast<int>(ids.size()); count > 0; ++i, --count) {
            const auto runs = (folder.path / ("runs." + std::to_string(i))).string();
            ids.push_back(
                gitlab->addJob({.script = {"echo x >> " + runs, "echo x > result",
                                           "for i in $(seq " + std::to_string(kLines) +
                                               "); do echo \"line $i $KEY\"; sleep 0.05; done"},
                                .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                                              {.key = "KEY", .value = kSecret, .masked = true}},
                                .artifacts = {{.paths = {"result"}}}}));
        }
    }
    static std::string expectedLines() {
        std::string text;
        for (int i = 1; i <= kLines; ++i) {
            text += "line " + std::to_string(i) + " [MASKED]\n";
        }
        return text;
    }
    /// Script output: after the echo of the last item, before the end of its section.
    static std::string scriptLines(const std::string& trace) {
        std::string text;
        std::istringstream in(plain(trace));
        for (std::string line; std::getline(in, line);) {
            if (line.starts_with("line ")) {
                text += line + "\n";
            }
        }
        return text;
    }
    /// A killed service asks once more how a report went.
    void prepare(int jobs, int callsAfterEnd = 2, bool requireChecksum = true) {
        auto lenient = options();
        lenient.callsAfterEnd = callsAfterEnd;
        lenient.requireChecksum = requireChecksum;
        lenient.registrationToken = kRegistrationToken;
        gitlab.emplace(later, lenient);
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        addJobs(jobs);
    }
    /// With no service running: claims that GitLab counts and the database does not have. They
    /// were on their way when the service was killed, and nothing else may lose one.
    int claimsLost() {
        const auto claimed = std::count_if(ids.begin(), ids.end(), [&](JobId id) {
            return gitlab->status(id) != Status::Pending;
        });
        return static_cast<int>(claimed) -
               std::stoi("0" + service->sql("SELECT count(*) FROM job"));
    }
    bool stored(JobId id) {
        return service->sql("SELECT count(*) FROM job WHERE gitlab_id = " + std::to_string(id)) !=
               "0\n";
    }
    /// Until every job that is not among the lost ones is done.
    void settle(int losses) {
        const auto expected = std::to_string(static_cast<int>(ids.size()) - losses) + "\n";
        const auto done = [&] {
            return service->sql("SELECT count(*) FROM job WHERE state = 'done'");
        };
        // As long as there is progress: a report may be waiting for its turn after many failures.
        for (std::string before; before != done();) {
            before = done();
            gitlab->waitUntil([&] { return done() == expected; }, std::chrono::seconds(70));
        }
        ASSERT_EQ(done(), expected) << "all but " << losses << " lost claims";
        for (const auto id : ids) {
            if (!stored(id)) {
                lost.insert(id);
            }
        }
        EXPECT_EQ(lost.size(), static_cast<std::size_t>(losses));
    }
    void check() {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto job = gitlab->job(ids[i]);
            const auto runs = readFile(folder.path / ("runs." + std::to_string(i)));
            if (lost.count(ids[i]) > 0) {
                EXPECT_EQ(runs, "") << "a lost claim must never start";
                EXPECT_EQ(job.status, Status::Running) << ids[i];
                continue;
            }
            EXPECT_EQ(job.status, Status::Success) << ids[i];
            EXPECT_EQ(job.acceptedFinals, 1) << ids[i];
            EXPECT_EQ(runs, "x\n") << ids[i];
            EXPECT_EQ(scriptLines(job.trace), expectedLines()) << ids[i];
            EXPECT_EQ(job.artifacts.size(), 1U) << ids[i];
            EXPECT_EQ(job.trace.find(kSecret), std::string::npos);
            const auto key = service->sql(
                "SELECT 'gb-' || (SELECT id FROM installation) || '-' || id FROM job WHERE "
                "gitlab_id = " +
                std::to_string(ids[i]));
            EXPECT_EQ(
                readFile(service->stateDir() / "traces" / (key.substr(0, key.size() - 1) + ".log")),
                job.trace)
                << ids[i];
        }
        EXPECT_EQ(gitlab->violations(), std::vector<std::string>{});
        strict = false;  // The silence about the lost ones is what it must find now.
        later.ahead = std::chrono::minutes(31);
        gitlab->runReapers();
        for (const auto id : lost) {
            EXPECT_EQ(gitlab->status(id), Status::Failed) << "a lost claim is reaped";
        }
        EXPECT_EQ(service->log().find(kSecret), std::string::npos);
        EXPECT_EQ(service->sql("SELECT count(*) FROM job_secret"), "0\n");
        for (const auto& record :
             std::filesystem::directory_iterator(service->workDir() / ".local")) {
            EXPECT_EQ(record.path().filename(), ".probe") << "a job is still known";
        }
    }

    LaterClock later;
    std::vector<JobId> ids;
    std::set<JobId> lost;
};

std::string pointName(const ::testing::TestParamInfo<const char*>& point) {
    std::string name = point.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

class CrashPoint : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashPoint, LosesNothingDoublesNothing) {
    prepare(4);
    service->start({{"GRIDBRIDGE_CRASH_POINT", std::string(GetParam()) + ":2"}});
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    const int losses = claimsLost();
    EXPECT_LE(losses, 1);
    if (std::string(GetParam()) == "received-uncommitted") {
        EXPECT_EQ(losses, 1);
    }

    service->start();
    settle(losses);
    check();
}

INSTANTIATE_TEST_SUITE_P(EachPoint, CrashPoint, ::testing::ValuesIn(kPoints), [](const auto& p) {
    std::string name = p.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

/// kill -9, and the disk has kept of the logs what it happened to write; every commit of the
/// database is on it.
class PowerLoss : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {
protected:
    /// Cuts every trace anywhere; the jobs that GitLab has not seen end and whose trace is now
    /// shorter than was committed.
    std::set<JobId> cutTraces(std::mt19937& random) {
        std::set<JobId> shortened;
        for (const auto& trace :
             std::filesystem::directory_iterator(service->stateDir() / "traces")) {
            const auto size = trace.file_size();
            const auto kept = size == 0 ? 0 : random() % size;
            std::filesystem::resize_file(trace.path(), kept);
            const auto stem = trace.path().stem().string();
            const auto row = stem.substr(stem.rfind('-') + 1);
            const auto id =
                std::stoll("0" + service->sql("SELECT gitlab_id FROM job WHERE id = " + row +
                                              " AND trace_length > " + std::to_string(kept)));
            if (id != 0 && !isEnded(gitlab->status(id))) {
                shortened.insert(id);
            }
        }
        return shortened;
    }
    void checkTrace(JobId id) {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.acceptedFinals, 1) << id;
        EXPECT_EQ(job.trace.find('\0'), std::string::npos) << id;
        EXPECT_EQ(job.trace.find(kSecret), std::string::npos) << id;
        EXPECT_EQ(lastLine(job), "Job succeeded") << id;
        const auto key = service->sql(
            "SELECT 'gb-' || (SELECT id FROM installation) || '-' || id FROM job WHERE gitlab_id "
            "= " +
            std::to_string(id));
        const auto here =
            readFile(service->stateDir() / "traces" / (key.substr(0, key.size() - 1) + ".log"));
        ASSERT_EQ(here.size(), job.trace.size()) << id;
        for (std::size_t at = 0; at < here.size(); ++at) {
            ASSERT_TRUE(here[at] == job.trace[at] || here[at] == '\0') << id << " at " << at;
        }
    }
};

TEST_P(PowerLoss, LogsGoOnWhereGitLabsCopyEnds) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(4, 2, false);
    service->start({{"GRIDBRIDGE_CRASH_POINT", std::string(GetParam()) + ":2"}});
    EXPECT_EQ(service->wait(), 137) << "the crash point was never reached";
    const int losses = claimsLost();
    const auto shortened = cutTraces(random);
    std::map<JobId, std::string> seen;
    for (const auto id : ids) {
        seen[id] = gitlab->job(id).trace;
    }

    service->start();
    settle(losses);

    std::cout << shortened.size() << " logs shortened" << std::endl;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (lost.count(ids[i]) > 0) {
            continue;
        }
        const auto job = gitlab->job(ids[i]);
        EXPECT_EQ(readFile(folder.path / ("runs." + std::to_string(i))), "x\n");
        EXPECT_EQ(job.trace.substr(0, seen[ids[i]].size()), seen[ids[i]])
            << "what was sent changed";
        EXPECT_EQ(says(job, " bytes of this log here, perhaps with its power: "),
                  shortened.count(ids[i]) > 0)
            << ids[i];
        if (seen[ids[i]].find("Job succeeded") == std::string::npos) {
            checkTrace(ids[i]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(EachPoint, PowerLoss, ::testing::ValuesIn(kPoints), pointName);

/// Every fault of the stand-in, at growing rates until it has struck often enough, under kills.
class StormEndToEnd : public CrashEndToEnd {
protected:
    struct Size {
        int jobs = 8;
        int kills = 4;
        std::uint64_t strikes = 1;
        bool atPoints = false;
    };
    /// GRIDBRIDGE_STORM=full is the size for a person who has some minutes.
    static Size size() {
        const char* wanted = std::getenv("GRIDBRIDGE_STORM");
        return wanted == nullptr ? Size{} : Size{40, 25, 5, true};
    }
    std::vector<FaultKind> missing() const {
        std::vector<FaultKind> kinds;
        for (const auto& [kind, count] : gitlab->faults()) {
            if (count < wanted.strikes && kind != FaultKind::TokenAnswerLost) {
                kinds.push_back(kind);
            }
        }
        return kinds;
    }
    /// Those that struck often enough rest, the others come more often.
    void blow() {
        constexpr double kStep = 0.02;
        constexpr double kMost = 0.5;
        const auto wantedStill = missing();
        for (std::size_t i = 0; i < fakegitlab::kFaultKinds; ++i) {
            const auto kind = static_cast<FaultKind>(i);
            const bool on = std::count(wantedStill.begin(), wantedStill.end(), kind) > 0;
            auto& rate = rates[kind];
            rate = on ? std::min(kMost, rate + kStep) : 0;
            gitlab->setFault(kind, rate);
        }
    }
    /// Somebody claims, prints and ends at any time of the storm.
    void keepBusy() {
        const auto pending = std::count_if(ids.begin(), ids.end(), [&](JobId id) {
            return gitlab->status(id) == Status::Pending;
        });
        addJobs(pending < 4 ? 4 : 0);
    }
    void killAtEachPoint() {
        for (const std::string point : kPoints) {
            keepBusy();
            blow();
            service->start({{"GRIDBRIDGE_CRASH_POINT", point + ":1"}});
            EXPECT_EQ(service->wait(), 137) << point << " was never reached";
        }
    }
    void killAtRandom(std::mt19937& random) {
        for (int kill = 0; kill < wanted.kills; ++kill) {
            keepBusy();
            blow();
            service->start();
            // The moment is the point of the test: any moment will do.
            clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
            service->killHard();
        }
    }
    void untilEverythingStruck() {
        constexpr std::chrono::seconds kPause{2};
        constexpr int kPauses = 5;
        const auto end = clock.steadyNow() + std::chrono::minutes(10);
        while (!missing().empty() && clock.steadyNow() < end) {
            // A service that has just started asks at once; one that has met many faults in a row
            // would ask once a minute, and hardly meet the rest.
            service->start();
            for (int i = 0; i < kPauses && !missing().empty(); ++i) {
                keepBusy();
                blow();
                gitlab->waitUntil([&] { return missing().empty(); }, kPause);
            }
            service->killHard();
        }
    }
    void loseTokens() {
        for (std::uint64_t i = 0; i < wanted.strikes; ++i) {
            gitlab->failNext(FaultKind::TokenAnswerLost, 1, fakegitlab::Call::Runners);
            int code = 0;
            service->command({"register", "--name", "extra", "--url", gitlab->url(), "--backend",
                              "here", "--registration-token", kRegistrationToken},
                             &code);
            EXPECT_EQ(code, 75);
        }
    }
    void tell() const {
        for (const auto& [kind, count] : gitlab->faults()) {
            std::cout << "  " << nameOf(kind) << ": " << count << '\n';
            EXPECT_GE(count, wanted.strikes) << nameOf(kind) << " did not strike often enough";
        }
        for (const auto id : lost) {
            std::cout << "  excepted: job " << id << ", its 201 never arrived whole\n";
        }
    }
    void expectNoSecretInWhatPeopleSee() const {
        for (const auto* name : {"gridbridge.db", "gridbridge.db-wal"}) {
            EXPECT_EQ(readFile(service->stateDir() / name).find(kSecret), std::string::npos);
        }
        EXPECT_EQ(service->command({"jobs", "--all", "--json"}).find(kSecret), std::string::npos);
        for (const auto id : ids) {
            EXPECT_EQ(service->command({"show", std::to_string(id), "--json"}).find(kSecret),
                      std::string::npos);
        }
    }

    const Size wanted = size();
    std::map<FaultKind, double> rates;
};

TEST_F(StormEndToEnd, NothingIsLostNothingDoubledNoByteWrongNoSecretOut) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    // Every lost answer, and every kill, makes it ask once more.
    prepare(wanted.jobs, 1000);
    gitlab->setFaults(seed, 0);
    const ArgumentWatch planted("planted-in-the-arguments");
    const ArgumentWatch secret(kSecret);
    if (wanted.atPoints) {
        killAtEachPoint();
    }
    killAtRandom(random);
    untilEverythingStruck();
    gitlab->setFaults(seed, 0);
    loseTokens();
    const int losses = claimsLost();
    service->start();
    settle(losses);
    tell();
    check();
    expectNoSecretInWhatPeopleSee();
    EXPECT_FALSE(secret.seen());
    EXPECT_TRUE(waitFor(
        [&] {
            service->command({"show", "planted-in-the-arguments"});
            return planted.seen();
        },
        "the planted secret to be found: the watch is dead"));
}

TEST_F(CrashEndToEnd, TenKillsAtRandomMoments) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(kJobs);
    for (int kill = 0; kill < 10; ++kill) {
        service->start();
        // The moment is the point of the test: any moment will do.
        clock.sleepUntil(clock.steadyNow() + Millis(200 + random() % 1300), {});
        service->killHard();
    }
    const int losses = claimsLost();
    std::cout << "claims lost before their commit: " << losses << std::endl;
    service->start();
    settle(losses);
    check();
}

}  // namespace
}  // namespace gridbridge::testing
