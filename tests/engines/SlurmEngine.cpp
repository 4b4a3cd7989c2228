#include "tests/engines/SlurmEngine.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace gridbridge::testing {

Engine& Engine::get() {
    return SlurmEngine::get();
}
ServiceEngine& ServiceEngine::get() {
    return SlurmEngine::get();
}
SlurmEngine& SlurmEngine::get() {
    static SlurmEngine engine;
    return engine;
}

SlurmEngine::SlurmEngine() : SchedulerEngine("Slurm", SLURM_SH) {}

std::vector<std::string> SlurmEngine::environment() const {
    const char* const accounting = std::getenv("SLURM_ENGINE_ACCOUNTING");
    return {"SLURM_CONF=" + slurmConf(), "SLURM_ENGINE_INSTALLED_ONLY=1", "SLURM_ENGINE_AUTH=munge",
            "SLURM_ENGINE_ACCOUNTING=" + std::string(accounting ? accounting : "0"),
            "SLURM_ENGINE_CPUS=" + std::to_string(kProcessors / 2),
            // Jobs that end are remembered for as long as a test may look.
            "SLURM_ENGINE_EXTRA=MinJobAge=300\nSlurmdTimeout=300\nKillWait=10\n" + settings_};
}

void SlurmEngine::repair(const std::string& settings) {
    settings_ = settings;
    Engine::repair();
}

std::string SlurmEngine::backendLines(int jobs, const std::filesystem::path& commands,
                                      const std::vector<std::string>& options) {
    return "type = \"slurm\"\nslurm_conf = \"" + slurmConf() + "\"\nbin_dir = \"" +
           commands.string() + "\"\npartition = \"main\"\ntrusted_jobs = true\nsubmit_options = " +
           listOf({"--cpus-per-task=" + std::to_string(kProcessors / jobs), "--mem=200"}, options) +
           "\n";
}

void SlurmEngine::awaitSaved() {
    const auto mark = (folder() / "saved").string();
    const auto state = (folder() / "state/job_state").string();
    const auto done = run("touch " + mark +
                          " && scontrol update jobid=$(squeue -h -o %A | head -n 1) comment=saved "
                          "&& for i in $(seq 250); do [ " +
                          state + " -nt " + mark + " ] && exit 0; sleep 0.2; done; exit 1");
    if (done.exitCode != 0) {
        throw std::runtime_error("Slurm's state did not reach the disk: " + done.err);
    }
}

void SlurmEngine::beFull() {
    kill("slurmctld");
    repair();  // It forgets some of its jobs, but not twice the same ones.
    const auto known = std::max(1, linesOf("squeue -h -a -t all"));
    kill("slurmctld");
    full_ = true;
    repair("MaxJobCount=" + std::to_string(known) + "\n");
}

void SlurmEngine::asUsual() {
    if (std::exchange(full_, false)) {
        kill("slurmctld");
        repair();
    }
}

int SlurmEngine::open() {
    return linesOf("squeue -h -o %A");
}

}  // namespace gridbridge::testing
