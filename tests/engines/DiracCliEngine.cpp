#include "tests/engines/DiracCliEngine.h"

#include <sstream>
#include <stdexcept>

namespace gridbridge::testing {

Engine& Engine::get() {
    return DiracCliEngine::get();
}
DiracCliEngine& DiracCliEngine::get() {
    static DiracCliEngine engine;
    return engine;
}

DiracCliEngine::DiracCliEngine() : Engine("DIRAC's commands", DIRACCLI_SH) {}

std::vector<std::string> DiracCliEngine::environment() const {
    return {"DIRACX_ENGINE_INSTALLED_ONLY=1",
            "DIRACX_ENGINE_OPTIONS=--slots 2 --heartbeat 1.2 --poll 0.2"};
}

DiracCliConfig DiracCliEngine::config() {
    const auto said = run(". '" + (folder() / "env.sh").string() +
                          "' && printf '%s\\n' \"$DIRAC_ENGINE_BIN\" \"$X509_USER_PROXY\" "
                          "\"DIRACSYSCONFIG=$DIRACSYSCONFIG\" \"X509_CERT_DIR=$X509_CERT_DIR\"");
    if (said.exitCode != 0) {
        throw std::runtime_error("the engine tells no settings: " + said.err);
    }
    std::istringstream lines(said.out);
    DiracCliConfig config;
    std::string proxy;
    std::getline(lines, config.binDir);
    std::getline(lines, proxy);
    config.proxy = proxy;
    config.group = "user";
    for (std::string variable; std::getline(lines, variable);) {
        config.environment.push_back(variable);
    }
    return config;
}

void DiracCliEngine::script(const std::string& verb, const std::string& words) {
    const auto asked = run(Engine::script() + " " + verb + " '" + folder().string() + "' " + words);
    if (asked.exitCode != 0) {
        throw std::runtime_error(asked.err);
    }
}

void DiracCliEngine::fault(const std::string& words) {
    script("fault", words);
}

void DiracCliEngine::makeProxy(const std::filesystem::path& file, const std::string& words) {
    script("proxy", "'" + file.string() + "' " + words);
}

}  // namespace gridbridge::testing
