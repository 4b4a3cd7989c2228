#include "tests/engines/HTCondorEngine.h"

#include <cstdlib>
#include <fstream>
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

void HTCondorEngine::signal(const std::string& pattern, const std::string& signal) {
    const auto sent = run("kill -" + signal + " $(" + HTCONDOR_SH + " status " + folder_.string() +
                          " | awk '/^" + pattern + " *up/ {print $4}')");
    if (sent.exitCode != 0) {
        throw std::runtime_error(pattern + " does not run: " + sent.err);
    }
}

void HTCondorEngine::kill(const std::string& name, const std::string& signalName) {
    signal(name, signalName);
}

void HTCondorEngine::killAll() {
    signal("condor_[a-z_]*", "KILL");
}

void HTCondorEngine::repair() {
    std::string said;
    if (engine("up", said) != 0) {
        throw std::runtime_error(said);
    }
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

}  // namespace gridbridge::testing
