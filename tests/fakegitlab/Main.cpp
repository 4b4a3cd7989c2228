#include <CLI/CLI.hpp>
#include <Poco/Exception.h>
#include <Poco/Net/NetException.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "bridge/base/Clock.h"
#include "tests/fakegitlab/CommandLine.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/fakegitlab/JobFile.h"
#include "tests/fakegitlab/Repositories.h"
#include "tests/fakegitlab/Summary.h"

namespace gridbridge::fakegitlab {
namespace {

constexpr auto kTick = Millis(100);

Millis millis(double seconds) {
    return std::chrono::floor<Millis>(std::chrono::duration<double>(seconds));
}

Options optionsFor(const Arguments& a, const std::filesystem::path& repositories) {
    Options options;
    options.port = a.port;
    options.repositories = repositories;
    options.longPoll = millis(a.longPoll);
    options.directDownload = a.directDownload;
    if (a.liveTrace >= 0) {
        options.liveTrace = millis(a.liveTrace);
    }
    options.noUpdatesAfter = millis(a.reapAfter);
    options.traceUpdateInterval = Seconds(a.updateInterval);
    options.callsAfterEnd = a.repeats;
    options.onEvent = [](const std::string& line) { std::cout << line << std::endl; };
    return options;
}

/// The kinds that should strike.
std::set<FaultKind> setFaults(FakeGitLab& server, const Arguments& a) {
    std::set<FaultKind> wanted;
    server.setFaults(a.seed, 0);
    for (const auto& fault : a.faults) {
        const auto equals = fault.find('=');
        const auto kind = faultNamed(fault.substr(0, equals));
        double rate = -1;
        if (equals != std::string::npos) {
            CLI::detail::lexical_cast(fault.substr(equals + 1), rate);
        }
        if (!kind || rate < 0 || rate > 1) {
            throw CLI::ValidationError("--fault", "wants KIND=RATE with 0 <= RATE <= 1: " + fault);
        }
        server.setFault(*kind, rate);
        if (rate > 0) {
            wanted.insert(*kind);
        }
    }
    return wanted;
}

/// GROUP/PROJECT below `root`, after the projects of its submodules.
void commitProject(FakeGitLab& server, const std::filesystem::path& root,
                   const std::string& project, std::set<std::string>& done) {
    if (!done.insert(project).second) {
        return;
    }
    for (const auto& [path, module] : Repositories::submodulesOf(project, root / project)) {
        commitProject(server, root, module, done);
    }
    server.commit(project, root / project);
}

void commitRepositories(FakeGitLab& server, const std::filesystem::path& root) {
    if (!std::filesystem::is_directory(root)) {
        return;
    }
    std::set<std::string> done;
    for (const auto& group : std::filesystem::directory_iterator(root)) {
        for (const auto& project : std::filesystem::directory_iterator(group.path())) {
            commitProject(server, root, project.path().lexically_relative(root).string(), done);
        }
    }
}

/// The job files as jobs of the server; `needs` become ids of jobs added before.
std::vector<JobResult> addJobs(FakeGitLab& server, const JobFolder& folder) {
    std::vector<JobResult> result;
    server.setStages(folder.stages);
    for (auto job : folder.jobs) {
        for (const auto& need : job.needs) {
            const auto found = std::find_if(result.begin(), result.end(), [&](const auto& other) {
                return other.seen.name == need;
            });
            if (found == result.end()) {
                throw std::runtime_error(job.file + ": needs " + need +
                                         ", which no earlier stage has");
            }
            job.spec.dependencies.push_back(found->seen.id);
        }
        JobResult added{.file = job.file, .expect = job.expect};
        added.seen.name = job.spec.name;
        added.seen.id = server.addJob(job.spec);
        result.push_back(std::move(added));
    }
    return result;
}

void writeFile(const std::filesystem::path& path, const std::string& text) {
    const auto part = path.string() + ".part";
    std::ofstream out(part, std::ios::binary);
    out << text;
    out.close();
    if (!out) {
        throw std::runtime_error("cannot write " + part);
    }
    std::filesystem::rename(part, path);
}

std::string fileName(std::string jobName) {
    std::replace(jobName.begin(), jobName.end(), '/', '-');
    return jobName + ".log";
}

Summary summarize(const FakeGitLab& server, std::vector<JobResult> jobs,
                  std::set<FaultKind> wanted) {
    for (auto& job : jobs) {
        job.seen = server.job(job.seen.id);
        job.problems = differences(job.seen, job.expect);
    }
    return {.jobs = std::move(jobs),
            .violations = server.violations(),
            .faults = server.faults(),
            .wanted = std::move(wanted)};
}

/// Time of the last call about a job.
WallTime lastJobCall(const FakeGitLab& server) {
    const auto all = server.requests();
    const auto found =
        std::find_if(all.rbegin(), all.rend(), [](const auto& r) { return r.job != 0; });
    return found == all.rend() ? WallTime{} : found->at;
}

/// Blocks SIGINT and SIGTERM here and in every thread started later.
sigset_t blockSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return signals;
}

/// Runs the timers until a signal comes or, with --until-done, everything has ended.
void serve(FakeGitLab& server, const Arguments& a, const Clock& clock, const sigset_t& signals) {
    for (;;) {
        server.runReapers();
        if (a.untilDone && server.allEnded() &&
            clock.wallNow() - lastJobCall(server) >= millis(a.grace)) {
            return;
        }
        const timespec tick{0, std::chrono::nanoseconds(kTick).count()};
        if (sigtimedwait(&signals, nullptr, &tick) > 0) {
            return;
        }
    }
}

/// A private folder for the bare repositories, removed at the end.
class ScratchFolder {
public:
    ScratchFolder() {
        auto pattern = (std::filesystem::temp_directory_path() / "fakegitlab-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("cannot make a folder " + pattern);
        }
        path = pattern;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    std::filesystem::path path;
};

int run(const Arguments& a) {
    const auto signals = blockSignals();
    const auto folder = readJobFolder(a.folder);
    const ScratchFolder scratch;
    SystemClock clock;
    FakeGitLab server(clock, optionsFor(a, scratch.path));
    const auto wanted = setFaults(server, a);
    server.addRunner(RunnerSpec{.token = a.runnerToken, .tags = a.tags});
    commitRepositories(server, a.repositories.empty()
                                   ? std::filesystem::path(a.folder) / "repositories"
                                   : std::filesystem::path(a.repositories));
    const auto jobs = addJobs(server, folder);
    if (!a.portFile.empty()) {
        writeFile(a.portFile, server.url() + "\n");
    }
    std::cout << "serving " << jobs.size() << " jobs at " << server.url() << std::endl;
    serve(server, a, clock, signals);
    const auto summary = summarize(server, jobs, wanted);
    print(summary, std::cout);
    if (!a.results.empty()) {
        writeFile(a.results, toJson(summary));
    }
    if (!a.traces.empty()) {
        std::filesystem::create_directories(a.traces);
        for (const auto& job : summary.jobs) {
            writeFile(std::filesystem::path(a.traces) / fileName(job.seen.name), job.seen.trace);
        }
    }
    return summary.ok() ? 0 : 1;
}

}  // namespace
}  // namespace gridbridge::fakegitlab

int main(int argc, char** argv) {
    gridbridge::fakegitlab::Arguments arguments;
    const auto app = gridbridge::fakegitlab::commandInto(arguments);
    try {
        app->parse(argc, argv);
        return gridbridge::fakegitlab::run(arguments);
    } catch (const CLI::ParseError& error) {
        return app->exit(error) == 0 ? 0 : 2;
    } catch (const Poco::Net::NetException& error) {
        std::cerr << "fakegitlab: " << error.displayText() << "; name another --port" << std::endl;
        return 74;
    } catch (const Poco::Exception& error) {
        std::cerr << "fakegitlab: " << error.displayText() << std::endl;
        return 74;
    } catch (const std::exception& error) {
        std::cerr << "fakegitlab: " << error.what() << std::endl;
        return 74;
    }
}
