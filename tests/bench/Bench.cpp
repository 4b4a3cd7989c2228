#include "tests/bench/Bench.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <unistd.h>

namespace gridbridge::testing {

namespace {

constexpr std::chrono::minutes kPatience{10};
constexpr Millis kLook{10};

/// Names and bodies of the commands that stand in for Slurm's, and of what runs one job.
constexpr std::pair<const char*, const char*> kStandIns[]{
    {"squeue", "cat queue/* 2>/dev/null || true\n"},
    {"sacct", ""},
    {"scancel", ""},
    // What a command leaves in its session is killed with it: the job has left it once it is
    // listed.
    {"sbatch", R"(id=$(grep -c sbatch calls)
for word; do
  case $word in --job-name=*) name=${word#*=};; --chdir=*) folder=${word#*=};; esac
done
setsid ./job $id $name "$folder" "$word" >"$folder/out/batch.log" 2>&1 </dev/null &
until [ -e queue/$id ]; do sleep 0.01; done
echo $id
)"},
    {"job", R"(now=$(date +%s)
echo "$1|RUNNING|$now|$now|N/A|0|0|n1|$2|None" >queue/.$1
mv queue/.$1 queue/$1
(cd "$3" && sh "$4")
rm queue/$1
)"},
};

template <typename Number>
Number firstNumber(const std::filesystem::path& file) {
    std::ifstream in(file);
    Number value{};
    in >> value;
    return value;
}

int words(const std::filesystem::path& file) {
    std::ifstream in(file);
    return static_cast<int>(std::distance(std::istream_iterator<std::string>(in), {}));
}

int entries(const std::filesystem::path& folder) {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

Bench::Bench(int slots)
    : Bench("type = \"local\"\nslots = " + std::to_string(slots) + "\n", false) {}

Bench::Bench(const std::string& backendLines, bool standIns) {
    fakegitlab::Options options;
    options.heartbeatLimit = Millis(0);
    options.artifactLimit = std::uint64_t{16} << 30U;
    gitlab.emplace(clock, options);
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    writeFile(service->config(),
              "concurrent = 100000\ncheck_interval = 1\nstate_dir = \"" +
                  service->stateDir().string() + "\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                  gitlab->url() + "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\n" +
                  "limit = 100000\n[backends.here]\n" + backendLines +
                  "trusted_jobs = true\nmax_pending = 100000\nwork_dir = \"" +
                  service->workDir().string() + "\"\npoll_interval = 1\n" +
                  (standIns ? "bin_dir = \"" + commandFolder().string() + "\"\n" : ""));
    std::filesystem::permissions(service->config(), std::filesystem::perms::owner_read |
                                                        std::filesystem::perms::owner_write);
    if (standIns) {
        writeCommands();
    }
}

void Bench::writeCommands() const {
    const auto bin = commandFolder();
    std::filesystem::create_directories(bin / "queue");
    std::ofstream(bin / "calls").flush();
    const std::string begin = "#!/bin/sh\ncd " + bin.string() + "\necho ${0##*/} >>calls\n";
    for (const auto& [name, body] : kStandIns) {
        writeFile(bin / name, begin + body);
        std::filesystem::permissions(bin / name, std::filesystem::perms(0755));
    }
}

Bench::~Bench() {
    if (service->running()) {
        service->killHard();
    }
}

double Bench::start() {
    const auto asked = [this] {
        const auto requests = gitlab->requests();
        return std::any_of(requests.begin(), requests.end(), [](const auto& request) {
            return request.path.ends_with("/jobs/request");
        });
    };
    service->start();
    return until(asked);
}

void Bench::add(int count, const fakegitlab::JobSpec& spec) {
    for (int i = 0; i < count; ++i) {
        ids.push_back(gitlab->addJob(spec));
    }
}

double Bench::until(const std::function<bool()>& condition) const {
    const auto begin = clock.steadyNow();
    while (!condition()) {
        if (clock.steadyNow() > begin + kPatience) {
            std::printf("gave up\n%s", service->log().c_str());
            std::exit(1);
        }
        SystemClock(clock).sleepUntil(clock.steadyNow() + kLook, {});
    }
    return std::chrono::duration<double>(clock.steadyNow() - begin).count();
}

int Bench::count(const std::string& states) const {
    SQLite::Database database((service->stateDir() / "gridbridge.db").string(),
                              SQLite::OPEN_READONLY, 5000);
    return database.execAndGet("SELECT count(*) FROM job WHERE state IN (" + states + ")");
}

bool Bench::ended(fakegitlab::JobId id) const {
    return isEnded(gitlab->status(id));
}

int Bench::patches() const {
    const auto requests = gitlab->requests();
    return static_cast<int>(std::count_if(requests.begin(), requests.end(),
                                          [](const auto& each) { return each.method == "PATCH"; }));
}

std::map<std::string, int> Bench::commands() const {
    std::map<std::string, int> counts;
    std::istringstream calls(readFile(commandFolder() / "calls"));
    for (std::string name; calls >> name;) {
        ++counts[name];
    }
    return counts;
}

Usage Bench::usage() const {
    const std::filesystem::path process = "/proc/" + std::to_string(service->pid());
    Usage result;
    std::istringstream memory(readFile(process / "statm"));
    double pages = 0;
    memory >> pages >> pages;
    result.residentMb = pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
    const auto status = readFile(process / "status");
    result.peakMb = std::stod(status.substr(status.find("VmHWM:") + 6)) * 1024 / 1e6;
    result.descriptors = entries(process / "fd");
    for (const auto& task : std::filesystem::directory_iterator(process / "task")) {
        const auto name = firstNumber<std::string>(task.path() / "comm");
        const auto spent = firstNumber<double>(task.path() / "schedstat") / 1e6;  // From ns.
        ++result.threads;
        result.children += words(task.path() / "children");
        result.cpuMs += spent;
        result.threadMs[name] += spent;
    }
    return result;
}

fakegitlab::JobSpec jobOf(std::vector<std::string> script) {
    return {.script = std::move(script), .variables = {{.key = "GIT_STRATEGY", .value = "none"}}};
}

void printRow(const std::string& what, double figure, const std::string& unit,
              const std::string& budget, double baseline, const std::string& of) {
    std::printf("%-58s %9.2f %-9s %-13s", what.c_str(), figure, unit.c_str(), budget.c_str());
    if (baseline > 0) {
        std::printf("  %.2f of %.2f %s", figure / baseline, baseline, of.c_str());
    }
    std::printf("\n");
    std::fflush(stdout);
}

}  // namespace gridbridge::testing
