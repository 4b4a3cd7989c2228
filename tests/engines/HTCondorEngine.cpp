#include "tests/engines/HTCondorEngine.h"

#include <cstdlib>
#include <stdexcept>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

HTCondorEngine::HTCondorEngine()
    : temp_(std::make_unique<TempDir>()), folder_(temp_->path() / "pool") {}
HTCondorEngine::~HTCondorEngine() = default;

HTCondorEngine& HTCondorEngine::get() {
    static HTCondorEngine engine;
    return engine;
}

Finished HTCondorEngine::run(const std::string& shellCommand, int seconds) {
    const auto result =
        runner_.run({.argv = {"/bin/bash", "-c", shellCommand},
                     .environment = {"PATH=" + (folder_ / "bin").string() +
                                         ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                     "HOME=/", "CONDOR_CONFIG=" + condorConfig(), suite(),
                                     "HTCONDOR_ENGINE_INSTALLED_ONLY=1"}},
                    {clock_.steadyNow() + std::chrono::seconds(seconds)}, std::size_t{1} << 20);
    if (!result) {
        throw std::runtime_error(shellCommand + ": " + result.error().message);
    }
    return *result;
}

std::string HTCondorEngine::suite() {
    const char* const chosen = std::getenv("HTCONDOR_ENGINE_SUITE");
    return std::string("HTCONDOR_ENGINE_SUITE=") + (chosen == nullptr ? "" : chosen);
}

int HTCondorEngine::engine(const std::string& verb, std::string& said) {
    const auto result = run(std::string(HTCONDOR_SH) + " " + verb + " " + folder_.string(), 120);
    said = result.err;
    return result.exitCode.value_or(1);
}

int HTCondorEngine::start(std::string& why) {
    return engine("up", why);
}

void HTCondorEngine::stop() {
    std::string said;
    engine("down", said);
}

}  // namespace gridbridge::testing
