#include "tests/engines/SlurmEngine.h"

#include <stdexcept>

namespace gridbridge::testing {

SlurmEngine& SlurmEngine::get() {
    static SlurmEngine engine;
    return engine;
}

Finished SlurmEngine::run(const std::string& shellCommand, int seconds) {
    const auto result = runner_.run(
        {.argv = {"/bin/bash", "-c", shellCommand},
         .environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/",
                         "SLURM_CONF=" + slurmConf(), "SLURM_ENGINE_INSTALLED_ONLY=1",
                         // Jobs that end are remembered for as long as a test may look.
                         "SLURM_ENGINE_EXTRA=MinJobAge=300\nSlurmdTimeout=10\nKillWait=1"}},
        {clock_.steadyNow() + std::chrono::seconds(seconds)}, std::size_t{1} << 20);
    if (!result) {
        throw std::runtime_error(shellCommand + ": " + result.error().message);
    }
    return *result;
}

int SlurmEngine::engine(const std::string& verb) {
    return run(std::string(SLURM_SH) + " " + verb + " " + folder_.string(), 120)
        .exitCode.value_or(1);
}

int SlurmEngine::start(std::string& why) {
    const auto said = run(std::string(SLURM_SH) + " up " + folder_.string(), 120);
    why = said.err;
    return said.exitCode.value_or(1);
}

void SlurmEngine::stop() {
    engine("down");
}

void SlurmEngine::kill(const std::string& daemon, const std::string& signal) {
    if (run("kill -" + signal + " $(cat " + (folder_ / "run" / daemon).string() + ".pid)")
            .exitCode != 0) {
        throw std::runtime_error(daemon + " does not run");
    }
}

}  // namespace gridbridge::testing
