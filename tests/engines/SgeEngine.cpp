#include "tests/engines/SgeEngine.h"

#include <sstream>

namespace gridbridge::testing {

Engine& Engine::get() {
    return SgeEngine::get();
}
SgeEngine& SgeEngine::get() {
    static SgeEngine engine;
    return engine;
}

SgeEngine::SgeEngine() : Engine("Grid Engine", SGE_SH) {}

std::vector<std::string> SgeEngine::settings() {
    std::istringstream lines(
        run(". " + (folder() / "env.sh").string() + "; env | grep -E '^SGE_(ROOT|CELL|.*PORT)='")
            .out);
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) {
        all.push_back(line);
    }
    return all;
}

}  // namespace gridbridge::testing
