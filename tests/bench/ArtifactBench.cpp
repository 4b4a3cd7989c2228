// What jobs leave, and what they print too much: measured from the end of the script, with what
// gzip, tar and a pipe of this machine do with the same.
#include <cstdlib>
#include <stdexcept>

#include "tests/bench/Bench.h"

namespace gridbridge::testing {

namespace {

/// What a shell command takes, in seconds.
double secondsOf(const Bench& bench, const std::string& command) {
    const auto begin = bench.clock.steadyNow();
    // What is measured is this text of ours.
    if (std::system(command.c_str()) != 0) {  // NOLINT(cert-env33-c)
        throw std::runtime_error("cannot run " + command);
    }
    return std::chrono::duration<double>(bench.clock.steadyNow() - begin).count();
}

/// Runs one job that makes what `make` says in `out/` and has it collected; seconds from the end
/// of its script to its end in GitLab.
double collected(Bench& bench, const std::string& make) {
    auto spec = jobOf({"mkdir out", make, "echo \"ended=$(date +%s%N)\""});
    spec.artifacts = {{.paths = {"out/"}}};
    bench.add(1, spec);
    bench.until([&] { return bench.ended(bench.ids.back()); });
    const auto job = bench.gitlab->job(bench.ids.back());
    if (job.status != fakegitlab::Status::Success || job.artifacts.size() != 1) {
        throw std::runtime_error("the job did not do well:\n" + job.trace);
    }
    const auto at = job.trace.rfind("ended=1");
    return static_cast<double>(sinceEpoch(*job.endedAt).count()) / 1e3 -
           std::stod(job.trace.substr(at + 6)) / 1e9;
}

std::string tenFiles(int mb) {
    return "for i in 0 1 2 3 4 5 6 7 8 9; do head -c " + std::to_string(mb) +
           "00000 /dev/urandom >out/$i; done";
}

std::string smallFiles(int count) {
    return "for d in $(seq 0 99); do mkdir out/$d; for f in $(seq " + std::to_string(count / 100) +
           "); do echo $d $f >out/$d/$f; done; done";
}

}  // namespace

void measureArtifacts(int largeMb, int manyFiles) {
    {
        Bench bench(1);
        bench.start();
        const double took = collected(bench, tenFiles(largeMb));
        const double once = secondsOf(bench, "head -c 100000000 /dev/urandom | gzip -6 >/dev/null");
        printRow("archive of " + std::to_string(largeMb) + " MB in 10 files, script end to job end",
                 largeMb / took, "MB/s", "", 100 / once, "MB/s of gzip -6 alone");
        printRow("  peak memory of the service", bench.usage().peakMb, "MB", "<= 120");
    }
    Bench bench(1);
    bench.start();
    const double took = collected(bench, smallFiles(manyFiles));
    const auto place = bench.folder.path.string();
    secondsOf(bench, "cd " + place + " && mkdir out && " + smallFiles(manyFiles));
    const double once = secondsOf(bench, "cd " + place + " && tar -cz out >out.tar.gz");
    printRow("archive of " + std::to_string(manyFiles) + " small files, script end to job end",
             manyFiles / took, "files/s", "", manyFiles / once, "files/s of tar -cz alone");
    printRow("  peak memory of the service", bench.usage().peakMb, "MB", "<= 120");
}

void measureLongTrace(int traceMb) {
    Bench bench(1);
    bench.start();
    const std::string print = "yes 0123456789abcdef0123456789abcdef0123456789abcdef | head -c " +
                              std::to_string(traceMb) + "000000";
    const double once = secondsOf(bench, print + " >" + (bench.folder.path / "printed").string());
    bench.add(1, jobOf({print}));
    const double took = bench.until([&] { return bench.ended(bench.ids.back()); });
    printRow("log of " + std::to_string(traceMb) + " MB through the limit, claim to job end",
             traceMb / took, "MB/s", "", traceMb / once, "MB/s of writing it to a file");
    printRow("  sent to GitLab",
             static_cast<double>(bench.gitlab->job(bench.ids.back()).trace.size()) / 1e6, "MB", "");
    printRow("  peak memory of the service", bench.usage().peakMb, "MB", "<= 120");
}

}  // namespace gridbridge::testing
