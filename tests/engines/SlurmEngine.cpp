#include "tests/engines/SlurmEngine.h"

#include <cstdlib>
#include <stdexcept>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

SlurmEngine::SlurmEngine() : temp_(std::make_unique<TempDir>()), folder_(temp_->path() / "slurm") {}
SlurmEngine::~SlurmEngine() = default;

SlurmEngine& SlurmEngine::get() {
    static SlurmEngine engine;
    return engine;
}

Finished SlurmEngine::run(const std::string& shellCommand, int seconds) {
    const char* const accounting = std::getenv("SLURM_ENGINE_ACCOUNTING");
    const auto result = runner_.run(
        {.argv = {"/bin/bash", "-c", shellCommand},
         .environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/",
                         "SLURM_CONF=" + slurmConf(), "SLURM_ENGINE_INSTALLED_ONLY=1",
                         "SLURM_ENGINE_AUTH=munge",
                         "SLURM_ENGINE_ACCOUNTING=" + std::string(accounting ? accounting : "0"),
                         // Jobs that end are remembered for as long as a test may look.
                         "SLURM_ENGINE_EXTRA=MinJobAge=300\nSlurmdTimeout=300\n" + settings_}},
        {clock_.steadyNow() + std::chrono::seconds(seconds)}, std::size_t{1} << 20);
    if (!result) {
        throw std::runtime_error(shellCommand + ": " + result.error().message);
    }
    return *result;
}

int SlurmEngine::engine(const std::string& verb, std::string& said) {
    const auto result = run(std::string(SLURM_SH) + " " + verb + " " + folder_.string(), 120);
    said = result.err;
    return result.exitCode.value_or(1);
}

int SlurmEngine::start(std::string& why) {
    return engine("up", why);
}

void SlurmEngine::stop() {
    std::string said;
    engine("down", said);
}

void SlurmEngine::repair(const std::string& settings) {
    settings_ = settings;
    std::string said;
    if (engine("up", said) != 0) {
        throw std::runtime_error(said);
    }
}

void SlurmEngine::kill(const std::string& daemon, const std::string& signal) {
    if (run("kill -" + signal + " $(cat " + (folder_ / "run" / daemon).string() + ".pid)")
            .exitCode != 0) {
        throw std::runtime_error(daemon + " does not run");
    }
}

}  // namespace gridbridge::testing
