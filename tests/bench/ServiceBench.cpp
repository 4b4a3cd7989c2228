// The real program, with the local backend unless a row says otherwise, measured from outside. CPU
// time is that of the service alone: not its jobs' and not the stand-in GitLab's.
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "tests/bench/Bench.h"

namespace gridbridge::testing {
namespace {

using std::chrono::seconds;

struct Sizes {
    int someWaiting = 1000;
    int allWaiting = 10000;
    int printing = 1000;
    int quick = 300;
    int ends = 40;
    int cancels = 40;
    int queued = 100;
    int largeMb = 1000;
    int manyFiles = 200000;
    int traceMb = 100;
    seconds watched{30};
};

/// Where nothing of this machine can be compared.
const std::string kOfficial = "the official runner 17.9, 2 cores";

/// Durable commits of one row per second as this disk takes them.
double rawCommits(const std::filesystem::path& folder) {
    constexpr int kCommits = 1000;
    SQLite::Database database((folder / "raw.db").string(),
                              SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (x)");
    const SystemClock clock;
    const auto begin = clock.steadyNow();
    for (int i = 0; i < kCommits; ++i) {
        database.exec("INSERT INTO t VALUES (zeroblob(2000))");
    }
    return kCommits / std::chrono::duration<double>(clock.steadyNow() - begin).count();
}

/// What a connection of another program spends on reading all jobs once.
double readAll(const Bench& bench) {
    const auto before = std::clock();
    SQLite::Database database((bench.service->stateDir() / "gridbridge.db").string());
    SQLite::Statement rows(database, "SELECT * FROM job LEFT JOIN submission ON job = job.id");
    std::size_t bytes = 0;
    while (rows.executeStep()) {
        for (int i = 0; i < rows.getColumnCount(); ++i) {
            bytes += rows.getColumn(i).getString().size();
        }
    }
    return bytes == 0 ? 0 : 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

Usage spentIn(Bench& bench, seconds watched) {
    auto before = bench.usage();
    bench.clock.sleepUntil(bench.clock.steadyNow() + watched, {});
    auto spent = bench.usage();
    spent.cpuMs -= before.cpuMs;
    for (auto& [name, ms] : spent.threadMs) {
        ms -= before.threadMs[name];
    }
    return spent;
}

/// Memory and what else a waiting job costs.
void printWaiting(int jobs, double limit, const Usage& now, const Usage& empty) {
    printRow("resident memory, " + std::to_string(jobs) + " waiting jobs", now.residentMb, "MB",
             "<= " + std::to_string(static_cast<int>(limit)), empty.residentMb, "MB without");
    const int more = now.threads - empty.threads + now.descriptors - empty.descriptors +
                     now.children - empty.children;
    printRow("  threads, descriptors and children per job", 1.0 * more / jobs, "", "0");
}

double claimRate(Bench& bench, int count, int already) {
    bench.add(count, jobOf({"true"}));
    return count / bench.until([&] { return bench.count("'queued'") == already + count; });
}

/// After a kill. The oldest job, which has ended meanwhile, is the last one of a first pass.
double restartTime(Bench& bench, const std::filesystem::path& gate) {
    auto key = bench.service->sql("SELECT key FROM submission WHERE job = 1");
    key.pop_back();
    bench.service->killHard();
    writeFile(gate, "");
    const auto status = bench.service->workDir() / key / "out/status";
    bench.until([&] { return std::filesystem::exists(status); });
    bench.service->start();
    return bench.until([&] { return bench.ended(bench.ids.front()); });
}

/// After a restart nobody is forgotten and GitLab is not stormed: requests of each second.
void printHeartbeats(Bench& bench, seconds watched) {
    const auto begin = bench.clock.wallNow();
    const auto first = bench.gitlab->requests().size();
    bench.clock.sleepUntil(bench.clock.steadyNow() + watched, {});
    std::map<std::int64_t, int> perSecond;
    const auto requests = bench.gitlab->requests();
    for (auto i = first; i < requests.size(); ++i) {
        if (requests[i].job != 0 && requests[i].method == "PUT") {
            ++perSecond[(requests[i].at - begin) / seconds(1)];
        }
    }
    int most = 0;
    int all = 0;
    for (const auto& [second, count] : perSecond) {
        most = std::max(most, count);
        all += count;
    }
    printRow("heartbeats after that restart, the busiest second", most, "/s", "spread", 50,
             "/s, the mean that is aimed at");
    printRow("  the mean", all / static_cast<double>(watched.count()), "/s", "<= 50");
}

/// Claims, memory and passes with waiting jobs, then a restart.
void waiting(const Sizes& sizes) {
    Bench bench(1);
    const double begin = bench.start();
    const auto gate = bench.folder.path / "gate";
    bench.add(1, jobOf({"until [ -e " + gate.string() + " ]; do sleep 0.2; done"}));
    bench.until([&] { return bench.count("'running'") == 1; });
    const auto empty = bench.usage();
    const auto some = std::to_string(sizes.someWaiting);
    const auto all = std::to_string(sizes.allWaiting);

    const double raw = rawCommits(bench.folder.path);
    const double first = claimRate(bench, sizes.someWaiting, 0);
    printRow("claim, durable store and submit, " + some + " jobs", first, "jobs/s", ">= 200, 0.25",
             raw, "durable commits/s");
    const auto then = bench.usage();
    printRow("  CPU per job", (then.cpuMs - empty.cpuMs) / sizes.someWaiting, "ms", "");
    printWaiting(sizes.someWaiting, 40, then, empty);
    const double rest = claimRate(bench, sizes.allWaiting - sizes.someWaiting, sizes.someWaiting);
    printRow("claim, durable store and submit, up to " + all + " jobs", rest, "jobs/s",
             ">= 200, 0.25", rawCommits(bench.folder.path), "durable commits/s");
    printWaiting(sizes.allWaiting, 100, bench.usage(), empty);

    // One pass a second; what the heartbeats cost is their own.
    auto pass = spentIn(bench, sizes.watched);
    printRow("CPU of a pass over " + all + " unchanged jobs",
             (pass.cpuMs - pass.threadMs["gitlab"]) / static_cast<double>(sizes.watched.count()),
             "ms", "<= 100", readAll(bench), "ms to read them all with SQLite");
    printRow("restart with " + all + " open jobs, whole first pass", restartTime(bench, gate), "s",
             "<= 2", begin, "s without jobs");
    printRow("  CPU until then", bench.usage().cpuMs / 1000, "s", "");
    printHeartbeats(bench, sizes.watched);
}

/// Jobs that print a line per second, with 100 masked values each.
void printing(const Sizes& sizes) {
    Bench bench(sizes.printing);
    const auto gate = (bench.folder.path / "gate").string();
    auto spec = jobOf({"mkfifo tick; exec 9<>tick; until [ -e " + gate +
                       " ]; do echo \"line $((++i)) of a job that prints\"; "
                       "read -t 1 -u 9 || true; done"});
    for (int i = 0; i < 100; ++i) {
        spec.variables.push_back({.key = "KEY" + std::to_string(i),
                                  .value = "masked-value-number-" + std::to_string(i),
                                  .masked = true});
    }
    bench.start();
    const auto empty = bench.usage();
    bench.add(sizes.printing, spec);
    bench.until([&] { return bench.count("'running'") == sizes.printing; });
    bench.clock.sleepUntil(bench.clock.steadyNow() + seconds(5), {});
    const int before = bench.patches();
    auto spent = spentIn(bench, sizes.watched);
    const int patches = bench.patches() - before;
    const auto jobs = std::to_string(sizes.printing);
    printRow("resident memory, " + jobs + " printing jobs", spent.residentMb, "MB", "<= 120",
             empty.residentMb, "MB without");
    printRow("CPU with " + jobs + " jobs that print a line per second",
             spent.cpuMs / 10 / static_cast<double>(sizes.watched.count()), "% of one", "<= 25", 40,
             "% (" + kOfficial + ")");
    printRow("CPU per small PATCH, 100 masked values", spent.threadMs["gitlab"] / patches, "ms",
             "<= 0.2", 1.1, "ms (" + kOfficial + ")");
    printRow("  polls, masking and storing included", spent.cpuMs / patches, "ms", "");
    writeFile(gate, "");
    bench.until([&] { return bench.gitlab->allEnded(); });
}

void quickJobs(const Sizes& sizes) {
    Bench bench(50);
    bench.start();
    bench.add(sizes.quick, jobOf({"true"}));
    bench.until([&] { return bench.gitlab->allEnded(); });
    auto first = WallTime::max();
    auto last = WallTime::min();
    for (const auto id : bench.ids) {
        const auto job = bench.gitlab->job(id);
        first = std::min(first, *job.claimedAt);
        last = std::max(last, *job.endedAt);
    }
    const auto used = bench.usage();
    printRow(std::to_string(sizes.quick) + " jobs `true`, 50 at a time, claim to last report",
             sizes.quick / std::chrono::duration<double>(last - first).count(), "jobs/s", ">= 60",
             30, "jobs/s (" + kOfficial + ")");
    printRow("  CPU of the service per job", used.cpuMs / sizes.quick, "ms", "");
}

void printDelays(const std::string& what, std::vector<double> ms, const std::string& budget,
                 double baseline, const std::string& of) {
    std::sort(ms.begin(), ms.end());
    printRow(what + ", median", ms[ms.size() / 2], "ms", budget, baseline, of);
    printRow("  the worst", ms.back(), "ms", "");
}

std::vector<double> endDelays(Bench& bench, int ends) {
    std::vector<double> delays;
    for (int i = 0; i < ends; ++i) {
        bench.add(1, jobOf({"sleep 1", "echo \"ended=$(date +%s%N)\""}));
        bench.until([&] { return bench.ended(bench.ids.back()); });
        const auto job = bench.gitlab->job(bench.ids.back());
        const auto end = static_cast<double>(sinceEpoch(*job.endedAt).count());
        const auto at = job.trace.rfind("ended=1");
        delays.push_back(end - std::stod(job.trace.substr(at + 6)) / 1e6);
    }
    return delays;
}

/// Until the first line of the script: the claim, the batch system, what prepares the job.
void claimToScript(const Sizes& sizes) {
    Bench bench(1);
    bench.start();
    std::vector<double> delays;
    for (int i = 0; i < sizes.ends; ++i) {
        bench.add(1, jobOf({"echo \"begun=$(date +%s%N)\""}));
        bench.until([&] { return bench.ended(bench.ids.back()); });
        const auto job = bench.gitlab->job(bench.ids.back());
        const auto at = job.trace.rfind("begun=1");
        delays.push_back(std::stod(job.trace.substr(at + 6)) / 1e6 -
                         static_cast<double>(sinceEpoch(*job.claimedAt).count()));
    }
    const auto begin = bench.clock.steadyNow();
    for (int i = 0; i < sizes.ends; ++i) {
        if (std::system("bash --login -c true") != 0) {  // NOLINT(cert-env33-c)
            std::printf("bash cannot be started\n");
        }
    }
    const std::chrono::duration<double, std::milli> shells = bench.clock.steadyNow() - begin;
    printDelays("claim to the first line of the script, local", delays, "",
                shells.count() / sizes.ends, "ms of a login shell");
}

void endToReport(const Sizes& sizes) {
    Bench local(1);
    local.start();
    printDelays("script end to accepted report, local", endDelays(local, sizes.ends), "<= 50", 22,
                "ms (" + kOfficial + ")");
    auto slurm = Bench::withSlurm();
    slurm.start();
    printDelays("script end to accepted report, slurm, poll 1 s", endDelays(slurm, sizes.ends),
                "<= 3000", 1000, "ms, a poll");
}

/// Clicks in GitLab, spread over the time between two heartbeats, while jobs run.
void cancelToSignal(const Sizes& sizes) {
    Bench bench(sizes.cancels);
    bench.start();
    const auto told = [&](std::size_t n) {
        return bench.folder.path / ("told-" + std::to_string(bench.ids[n]));
    };
    const auto file = (bench.folder.path / "told-").string() + "$CI_JOB_ID";
    bench.add(sizes.cancels, jobOf({"trap 'date +%s%N >" + file + "; exit 1' TERM", ": >" + file,
                                    "while :; do sleep 0.1; done"}));
    for (std::size_t i = 0; i < bench.ids.size(); ++i) {
        bench.until([&] { return std::filesystem::exists(told(i)); });
    }
    const Millis apart = Millis(seconds(30)) / sizes.cancels;
    std::vector<double> clicks;
    for (const auto id : bench.ids) {
        clicks.push_back(static_cast<double>(sinceEpoch(bench.clock.wallNow()).count()));
        bench.gitlab->cancel(id);
        bench.clock.sleepUntil(bench.clock.steadyNow() + apart, {});
    }
    bench.until([&] { return bench.gitlab->allEnded(); });
    std::vector<double> delays;
    for (std::size_t i = 0; i < bench.ids.size(); ++i) {
        delays.push_back(std::stod(readFile(told(i))) / 1e6 - clicks[i]);
    }
    printDelays("cancel in GitLab to signal at the script", delays, "<= 31000", 3000,
                "ms, the best of " + kOfficial);
}

/// What a scheduler is asked, by commands that stand in for Slurm's.
void queries(const Sizes& sizes) {
    auto bench = Bench::withSlurm();
    bench.start();
    const auto gate = (bench.folder.path / "gate").string();
    const auto jobs = std::to_string(sizes.queued);
    bench.add(sizes.queued, jobOf({"until [ -e " + gate + " ]; do sleep 1; done"}));
    bench.until([&] { return bench.count("'running'") == sizes.queued; });
    auto before = bench.commands();
    bench.clock.sleepUntil(bench.clock.steadyNow() + sizes.watched, {});
    auto after = bench.commands();
    const double polls = static_cast<double>(sizes.watched.count());
    printRow("scheduler queries per poll, slurm, " + jobs + " running jobs",
             (after["squeue"] + after["sacct"] - before["squeue"] - before["sacct"]) / polls, "",
             "<= 1", sizes.queued, "of a driver that asks for each job");
    before = after;
    writeFile(gate, "");
    bench.until([&] { return bench.count("'done'") == sizes.queued; });
    after = bench.commands();
    printRow("  per job, from its end until it is released",
             1.0 * (after["squeue"] + after["sacct"] - before["squeue"] - before["sacct"]) /
                 sizes.queued,
             "", "");
}

void artifacts(const Sizes& sizes) {
    measureArtifacts(sizes.largeMb, sizes.manyFiles);
}

void trace(const Sizes& sizes) {
    measureLongTrace(sizes.traceMb);
}

}  // namespace
}  // namespace gridbridge::testing

/// Without arguments the whole table; the name of a measurement below: its rows; `--small`: every
/// row with a few jobs, to see that the program works.
int main(int count, char** words) {
    using namespace gridbridge::testing;
    const std::string_view what = count > 1 ? words[1] : "";
    Sizes sizes;
    if (what == "--small") {
        sizes = {10, 30, 10, 10, 2, 3, 5, 10, 1000, 6, std::chrono::seconds(2)};
    }
    const std::vector<std::pair<std::string_view, void (*)(const Sizes&)>> rows{
        {"waiting", waiting},     {"printing", printing},   {"quick", quickJobs},
        {"begin", claimToScript}, {"end", endToReport},     {"cancel", cancelToSignal},
        {"queries", queries},     {"artifacts", artifacts}, {"trace", trace}};
    for (const auto& [name, measure] : rows) {
        if (count == 1 || what == "--small" || what == name) {
            measure(sizes);
        }
    }
}
