// What many jobs cost the scheduler and the service, and how soon GitLab knows their end. Prints
// figures; ENGINE_JOBS=1000 is the size for a person who has a quarter of an hour.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <unistd.h>

#include "tests/engines/EngineService.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;
using Seconds = std::chrono::duration<double>;

class EngineLoad : public EngineService {
protected:
    EngineLoad() {
        std::filesystem::create_directory(commands_);
        writeFile(calls_, "");
        std::filesystem::permissions(calls_, std::filesystem::perms(0666));
        for (const auto& name : engine.commands()) {
            writeFile(commands_ / name, "#!/bin/bash\necho \"$EPOCHREALTIME " + name + "\" >>" +
                                            calls_.string() + "\nexec " +
                                            (engine.commandFolder() / name).string() + " \"$@\"\n");
            std::filesystem::permissions(commands_ / name, std::filesystem::perms(0755));
        }
        std::filesystem::create_directory(ends_);
        std::filesystem::permissions(ends_, std::filesystem::perms(0777));
    }

    struct Calls {
        std::map<std::string, int> byName;
        int mostPerMinute = 0;  ///< More by what started late of the minute before.
    };
    Calls calls() const {
        Calls result;
        std::istringstream lines(readFile(calls_) + engine.calls());
        std::vector<double> times;
        std::string name;
        for (double at = 0; lines >> at >> name;) {
            ++result.byName[name];
            times.push_back(at);
        }
        std::sort(times.begin(), times.end());
        for (auto last = times.begin(); last != times.end(); ++last) {
            const auto first = std::upper_bound(times.begin(), last, *last - 60);
            result.mostPerMinute =
                std::max(result.mostPerMinute, static_cast<int>(last - first) + 1);
        }
        return result;
    }
    /// Of the service, and of all commands that it has seen end; in seconds.
    std::pair<double, double> processorTime() const {
        const auto stat = readFile("/proc/" + std::to_string(service->pid()) + "/stat");
        std::istringstream fields(stat.substr(stat.rfind(')') + 2));
        const std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};
        const auto ticks = [&](std::size_t field) {  // As proc(5) counts them.
            return std::stod(all.at(field - 3)) / static_cast<double>(::sysconf(_SC_CLK_TCK));
        };
        return {ticks(14) + ticks(15), ticks(16) + ticks(17)};
    }
    /// Resident, as proc(5) writes it.
    std::string mostMemory() const {
        std::istringstream lines(readFile("/proc/" + std::to_string(service->pid()) + "/status"));
        std::string line;
        while (std::getline(lines, line) && !line.starts_with("VmHWM:")) {
        }
        return line;
    }
    std::string lastAct(const std::string& name) const {
        return "date +%s.%N >" + (ends_ / name).string();
    }
    /// From the script's last act to the end at GitLab.
    Seconds delay(const std::string& name, JobId id) const {
        const Seconds end(std::stod(readFile(ends_ / name)));
        return Seconds(gitlab->job(id).endedAt.value().time_since_epoch()) - end;
    }

    const std::filesystem::path commands_ = folder.path / "commands";

private:
    const std::filesystem::path calls_ = folder.path / "calls";
    const std::filesystem::path ends_ = folder.path / "ends";
};

TEST_F(EngineLoad, ManyShortJobs) {
    const int jobs = chosen("ENGINE_JOBS", 20);
    serve(32, "poll_interval = 10\nmax_pending = 200\n", commands_);
    const auto begin = clock.steadyNow();
    std::vector<JobId> ids;
    for (int i = 0; i < jobs; ++i) {
        const auto name = "job" + std::to_string(i);
        ids.push_back(add(name, {lastAct(name)}));
    }

    ASSERT_TRUE(gitlab->waitForAllEnded(std::chrono::seconds(120 + 2 * jobs)));
    const auto [own, commands] = processorTime();
    const double minutes = Seconds(clock.steadyNow() - begin).count() / 60;
    ASSERT_TRUE(ends(ids));

    std::vector<double> delays;
    for (int i = 0; i < jobs; ++i) {
        const auto name = "job" + std::to_string(i);
        const auto job = gitlab->job(ids[static_cast<std::size_t>(i)]);
        ASSERT_EQ(job.status, Status::Success) << plain(job.trace);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(starts(name), 1);
        delays.push_back(delay(name, job.id).count());
    }
    std::sort(delays.begin(), delays.end());
    const auto all = calls();
    std::printf("%s: %d jobs in %.0f s, 32 at a time, poll_interval 10 s\n", engine.name().c_str(),
                jobs, minutes * 60);
    for (const auto& [name, count] : all.byName) {
        std::printf("  %-32s %5d calls, %6.1f per minute\n", name.c_str(), count, count / minutes);
    }
    std::printf("  in the busiest minute %d calls\n", all.mostPerMinute);
    std::printf(
        "  processor time of the service %.1f s, %.1f ms per job, %.1f %% of one core; of "
        "its commands %.1f s\n",
        own, own * 1000 / jobs, own / minutes / 0.6, commands);
    std::printf(
        "  end of the script to end at GitLab: median %.1f s, 95 %% within %.1f s, all "
        "within %.1f s\n",
        delays[delays.size() / 2], delays[delays.size() * 95 / 100], delays.back());
    std::printf("  most memory of the service: %s\n", mostMemory().c_str());
    std::printf("  two of its rows: key, id, node or site, run, reason\n%s",
                service
                    ->sql("SELECT key, remote_id, node, run, reason FROM submission WHERE "
                          "remote_id <> '' AND node <> '' ORDER BY job DESC LIMIT 2")
                    .c_str());
    if (!engine.commands().empty()) {
        EXPECT_LE(all.mostPerMinute, 630);
    }
}

}  // namespace
}  // namespace gridbridge::testing
