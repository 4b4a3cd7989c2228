#include "tests/engines/SgeEngine.h"

#include <sstream>
#include <stdexcept>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

SgeEngine::SgeEngine() : temp_(std::make_unique<TempDir>()), folder_(temp_->path() / "sge") {}
SgeEngine::~SgeEngine() = default;

SgeEngine& SgeEngine::get() {
    static SgeEngine engine;
    return engine;
}

Finished SgeEngine::run(const std::string& shellCommand, int seconds) {
    const auto result =
        runner_.run({.argv = {"/bin/bash", "-c", shellCommand},
                     .environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/",
                                     "SGE_ENGINE_INSTALLED_ONLY=1"}},
                    {clock_.steadyNow() + std::chrono::seconds(seconds)}, std::size_t{1} << 20);
    if (!result) {
        throw std::runtime_error(shellCommand + ": " + result.error().message);
    }
    return *result;
}

int SgeEngine::engine(const std::string& verb, std::string& said) {
    const auto result = run(std::string(SGE_SH) + " " + verb + " " + folder_.string(), 120);
    said = result.err;
    return result.exitCode.value_or(1);
}

int SgeEngine::start(std::string& why) {
    return engine("up", why);
}

void SgeEngine::stop() {
    std::string said;
    engine("down", said);
}

void SgeEngine::repair() {
    std::string said;
    if (engine("up", said) != 0) {
        throw std::runtime_error(said);
    }
}

void SgeEngine::kill(const std::string& daemon) {
    if (run("kill -KILL $(cat " + (folder_ / "run" / daemon).string() + ".pid)").exitCode != 0) {
        throw std::runtime_error(daemon + " does not run");
    }
}

std::vector<std::string> SgeEngine::settings() {
    std::istringstream lines(
        run(". " + (folder_ / "env.sh").string() + "; env | grep -E '^SGE_(ROOT|CELL|.*PORT)='")
            .out);
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) {
        all.push_back(line);
    }
    return all;
}

}  // namespace gridbridge::testing
