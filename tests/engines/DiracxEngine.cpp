#include "tests/engines/DiracxEngine.h"

#include <cstdlib>
#include <stdexcept>

namespace gridbridge::testing {

Engine& Engine::get() {
    return DiracxEngine::get();
}
DiracxEngine& DiracxEngine::get() {
    static DiracxEngine engine;
    return engine;
}

DiracxEngine::DiracxEngine() : Engine("DiracX", DIRACX_SH) {}

std::vector<std::string> DiracxEngine::environment() const {
    // Another release can be chosen from outside, see diracx.sh.
    const char* const release = std::getenv("DIRACX_ENGINE_RELEASE");
    return {std::string("DIRACX_ENGINE_RELEASE=") + (release == nullptr ? "" : release),
            "DIRACX_ENGINE_INSTALLED_ONLY=1",
            "DIRACX_ENGINE_OPTIONS=--slots 2 --heartbeat 1.2 --poll 0.2"};
}

std::string DiracxEngine::setting(const std::string& name) {
    const auto said =
        run(". '" + (folder() / "env.sh").string() + "' && printf %s \"$" + name + "\"");
    if (said.exitCode != 0 || said.out.empty()) {
        throw std::runtime_error("the engine does not tell " + name + ": " + said.err);
    }
    return said.out;
}

std::string DiracxEngine::url() {
    return setting("DIRACX_URL");
}

std::filesystem::path DiracxEngine::caFile() {
    return setting("DIRACX_CA_PATH");
}

void DiracxEngine::fault(const std::string& words) {
    const auto asked = run(script() + " fault '" + folder().string() + "' " + words);
    if (asked.exitCode != 0) {
        throw std::runtime_error(asked.err);
    }
}

}  // namespace gridbridge::testing
