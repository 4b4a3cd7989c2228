#include "tests/engines/ArcEngine.h"

#include <stdexcept>

namespace gridbridge::testing {

Engine& Engine::get() {
    return ArcEngine::get();
}
ArcEngine& ArcEngine::get() {
    static ArcEngine engine;
    return engine;
}

std::string ArcEngine::setting(const std::string& name) {
    const auto said = run(". '" + settings().string() + "' && printf %s \"$" + name + "\"");
    if (said.exitCode != 0 || said.out.empty()) {
        throw std::runtime_error("the engine does not tell " + name + ": " + said.err);
    }
    return said.out;
}

}  // namespace gridbridge::testing
