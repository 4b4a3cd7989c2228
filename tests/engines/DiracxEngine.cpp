#include "tests/engines/DiracxEngine.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

Engine& Engine::get() {
    return DiracxEngine::get();
}
ServiceEngine& ServiceEngine::get() {
    return DiracxEngine::get();
}
DiracxEngine& DiracxEngine::get() {
    static DiracxEngine engine;
    return engine;
}

DiracxEngine::DiracxEngine() : ServiceEngine("DiracX", DIRACX_SH) {}

std::vector<std::string> DiracxEngine::environment() const {
    std::vector<std::string> all{"DIRACX_ENGINE_INSTALLED_ONLY=1",
                                 "DIRACX_ENGINE_OPTIONS=--slots " + std::to_string(DIRACX_SLOTS) +
                                     " --heartbeat 1.2 --poll 0.2"};
    // Another release, other options and shorter tokens can be chosen from outside, see diracx.sh.
    for (const std::string name : {"RELEASE", "OPTIONS", "ACCESS_MINUTES", "REFRESH_MINUTES"}) {
        const auto variable = "DIRACX_ENGINE_" + name;
        if (const char* const chosen = std::getenv(variable.c_str())) {
            all.push_back(variable + "=" + chosen);
        }
    }
    return all;
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

std::string DiracxEngine::words(const std::string& verb, const std::string& options) const {
    return script() + " " + verb + " '" + folder().string() + "' " + options;
}

std::string DiracxEngine::ask(const std::string& verb, const std::string& options) {
    const auto asked = run(words(verb, options));
    if (asked.exitCode != 0) {
        throw std::runtime_error(asked.err);
    }
    return asked.out;
}

std::map<std::string, int> DiracxEngine::fired() {
    std::map<std::string, int> counts;
    std::istringstream lines(ask("fault", "fired"));
    std::string kind;
    for (int times = 0; lines >> kind >> times;) {
        counts[kind] = times;
    }
    return counts;
}

int DiracxEngine::named(const std::string& name) {
    return linesOf(words("jobs", "") + " | awk '$2 == \"" + name + "\"'");
}

std::string DiracxEngine::backendLines(int /*jobs*/, const std::filesystem::path& /*commands*/,
                                       const std::vector<std::string>& /*options*/) {
    return "type = \"diracx\"\nurl = \"" + url() + "\"\ntls_ca_file = \"" + caFile().string() +
           "\"\ncredentials = \"" + credentials().string() + "\"\n";
}

std::string DiracxEngine::calls() const {
    return readFile(folder() / "executor/calls.log");
}

int DiracxEngine::open() {
    return linesOf(words("jobs", "--open"));
}

}  // namespace gridbridge::testing
