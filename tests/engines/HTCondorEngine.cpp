#include "tests/engines/HTCondorEngine.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <unistd.h>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

Engine& Engine::get() {
    return HTCondorEngine::get();
}
ServiceEngine& ServiceEngine::get() {
    return HTCondorEngine::get();
}
HTCondorEngine& HTCondorEngine::get() {
    static HTCondorEngine engine;
    return engine;
}

HTCondorEngine::HTCondorEngine() : SchedulerEngine("HTCondor", HTCONDOR_SH) {}

std::vector<std::string> HTCondorEngine::environment() const {
    // Another version can be chosen from outside, see htcondor.sh.
    const char* const suite = std::getenv("HTCONDOR_ENGINE_SUITE");
    return {
        "CONDOR_CONFIG=" + condorConfig(),
        std::string("HTCONDOR_ENGINE_SUITE=") + (suite == nullptr ? "" : suite),
        "HTCONDOR_ENGINE_INSTALLED_ONLY=1",
        "HTCONDOR_ENGINE_EXTRA=NUM_CPUS = " + std::to_string(kProcessors) + "\nMEMORY = 32768\n"};
}

void HTCondorEngine::kill(const std::string& daemon, const std::string& signal) {
    const auto sent =
        run("for i in $(seq 100); do pids=$(" + script() + " status " + folder().string() +
            " | awk '/^" + daemon + " *up/ {print $4}'); [ -z \"$pids\" ] || { kill -" + signal +
            " $pids; exit; }; sleep 0.2; done; exit 1");
    if (sent.exitCode != 0) {
        throw std::runtime_error(daemon + " does not run: " + sent.err);
    }
}

void HTCondorEngine::repair() {
    Engine::repair();
    const auto answers =
        run("for i in $(seq 150); do condor_q -totals >/dev/null 2>&1 && exit 0; sleep 0.2; done; "
            "exit 1");
    if (answers.exitCode != 0) {
        throw std::runtime_error("the schedd does not answer");
    }
}

void HTCondorEngine::configure(const std::string& lines) {
    if (config_.empty()) {
        config_ = readFile(condorConfig());
    }
    std::ofstream(condorConfig()) << config_ << lines;
    if (const auto done = run("condor_reconfig"); done.exitCode != 0) {
        throw std::runtime_error(done.err);
    }
}

std::string HTCondorEngine::backendLines(int jobs, const std::filesystem::path& commands,
                                         const std::vector<std::string>& options) {
    return "type = \"htcondor\"\ncondor_config = \"" + condorConfig() + "\"\nbin_dir = \"" +
           commands.string() + "\"\nsubmit_options = " +
           listOf({"request_cpus = " + std::to_string(kProcessors / jobs), "request_memory = 64M",
                   "request_disk = 1M", "job_lease_duration = 30"},
                  options) +
           "\n" +
           // HTCondor takes no jobs of root.
           (::geteuid() == 0 ? "run_as = \"daemon\"\n" : "trusted_jobs = true\n");
}

void HTCondorEngine::beFull() {
    // One that has ended is in the queue for minutes.
    if (linesOf("condor_q -allusers -af ClusterId") < 1) {
        throw std::runtime_error("there is no job that could fill the queue");
    }
    configure("MAX_JOBS_PER_OWNER = 1\n");
    const auto heard =
        run("for i in $(seq 150); do [ \"$(condor_config_val -schedd MAX_JOBS_PER_OWNER)\" = 1 ] "
            "&& exit; sleep 0.2; done; exit 1");
    if (heard.exitCode != 0) {
        throw std::runtime_error("the schedd does not take its new limit: " + heard.err);
    }
}

int HTCondorEngine::open() {
    return linesOf("condor_q -allusers -constraint 'JobStatus != 4' -af ClusterId");
}

}  // namespace gridbridge::testing
