#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/Service.h"

namespace gridbridge::testing {

/// What a process costs now.
struct Usage {
    double residentMb = 0;
    double peakMb = 0;  ///< The most that was resident since the process began.
    int threads = 0;
    int descriptors = 0;
    int children = 0;
    double cpuMs = 0;                        ///< Of the threads that live.
    std::map<std::string, double> threadMs;  ///< The same by a thread's name.
};

/// One stand-in GitLab and one service, for one row of the table. It takes all jobs at once.
class Bench {
public:
    /// With the local backend.
    explicit Bench(int slots);
    /// With backend `slurm` and commands that stand in for Slurm's: each notes that it was called,
    /// `sbatch` starts the job at once, `squeue` lists what has not ended.
    static Bench withSlurm() { return Bench("type = \"slurm\"\n", true); }
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    /// Starts the service; seconds until its first question for a job.
    double start();
    void add(int count, const fakegitlab::JobSpec& spec);
    /// Seconds until `condition` holds; ends the program with the service's log when it never does.
    double until(const std::function<bool()>& condition) const;
    /// Jobs in one of the states, e.g. `'queued','running'`.
    int count(const std::string& states) const;
    bool ended(fakegitlab::JobId id) const;
    int patches() const;
    /// How often the commands of `withSlurm` were called.
    std::map<std::string, int> commands() const;
    Usage usage() const;

    SystemClock clock;
    TempFolder folder;
    std::optional<fakegitlab::FakeGitLab> gitlab;
    std::optional<Service> service;
    std::vector<fakegitlab::JobId> ids;

private:
    Bench(const std::string& backendLines, bool standIns);
    std::filesystem::path commandFolder() const { return folder.path / "bin"; }
    void writeCommands() const;
};

/// Rows of ArtifactBench.cpp: an archive of `largeMb` MB in ten files and one of `manyFiles` small
/// ones, from the end of the script to the end of the job; a log of `traceMb` MB of which only the
/// limit goes to GitLab.
void measureArtifacts(int largeMb, int manyFiles);
void measureLongTrace(int traceMb);

/// A job without git that runs these lines.
fakegitlab::JobSpec jobOf(std::vector<std::string> script);
/// One row of the table. `baseline` is a figure of the same run that tells what the machine can
/// do, with what it is; 0 = none.
void printRow(const std::string& what, double figure, const std::string& unit,
              const std::string& budget, double baseline = 0, const std::string& of = "");

}  // namespace gridbridge::testing
