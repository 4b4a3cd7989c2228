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

Bench::Bench(int slots) {
    fakegitlab::Options options;
    options.heartbeatLimit = Millis(0);
    gitlab.emplace(clock, options);
    gitlab->addRunner("glrt-test");
    service.emplace(gitlab->url(), folder.path);
    writeFile(service->config(),
              "concurrent = 100000\ncheck_interval = 1\nstate_dir = \"" +
                  service->stateDir().string() + "\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                  gitlab->url() + "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\n" +
                  "limit = 100000\n[backends.here]\ntype = \"local\"\n" +
                  "trusted_jobs = true\nmax_pending = 100000\nwork_dir = \"" +
                  service->workDir().string() +
                  "\"\npoll_interval = 1\nslots = " + std::to_string(slots) + "\n");
    std::filesystem::permissions(service->config(), std::filesystem::perms::owner_read |
                                                        std::filesystem::perms::owner_write);
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

Usage Bench::usage() const {
    const std::filesystem::path process = "/proc/" + std::to_string(service->pid());
    Usage result;
    std::istringstream memory(readFile(process / "statm"));
    double pages = 0;
    memory >> pages >> pages;
    result.residentMb = pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
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
