#include "tests/engines/ArcEngine.h"

#include <stdexcept>

namespace gridbridge::testing {

Engine& Engine::get() {
    return ArcEngine::get();
}
ServiceEngine& ServiceEngine::get() {
    return ArcEngine::get();
}
ArcEngine& ArcEngine::get() {
    static ArcEngine engine;
    return engine;
}

std::vector<std::string> ArcEngine::environment() const {
    return {"ARC_ENGINE_INSTALLED_ONLY=1", "ARC_ENGINE_SLOTS=" + std::to_string(ARC_SLOTS)};
}

std::string ArcEngine::setting(const std::string& name) {
    const auto said = run(". '" + settings().string() + "' && printf %s \"$" + name + "\"");
    if (said.exitCode != 0 || said.out.empty()) {
        throw std::runtime_error("the engine does not tell " + name + ": " + said.err);
    }
    return said.out;
}

std::string ArcEngine::backendLines(int /*jobs*/, const std::filesystem::path& /*commands*/,
                                    const std::vector<std::string>& /*options*/) {
    return "type = \"arc\"\nurl = \"" + setting("ARC_URL") + "\"\ntls_ca_file = \"" +
           setting("ARC_CA_FILE") + "\"\ntls_cert_file = \"" + setting("ARC_CERT") +
           "\"\ntls_key_file = \"" + setting("ARC_KEY") + "\"\n";
}

std::string ArcEngine::curl(const std::string& options) const {
    return ". '" + settings().string() +
           "' && curl -sf --retry 3 --retry-all-errors --cacert $ARC_CA_FILE --cert $ARC_CERT "
           "--key $ARC_KEY -H Accept:application/json " +
           options;
}

std::string ArcEngine::openIds() const {
    return "list=$(" +
           curl(
               "\"$ARC_REST/jobs?state=ACCEPTING,ACCEPTED,PREPARING,PREPARED,SUBMITTING,QUEUING,"
               "RUNNING,HELD,OTHER,EXITINGLRMS,EXECUTED,FINISHING,KILLING\"") +
           ") && printf %s \"$list\" | grep -o '\"id\":\"[^\"]*\"' | cut -d'\"' -f4";
}

void ArcEngine::remove(const std::string& id) {
    const auto said = run(curl("-H Content-Type:application/json --data '{\"job\":[{\"id\":\"" +
                               id + "\"}]}' \"$ARC_REST/jobs?action=kill\""));
    if (said.exitCode != 0) {
        throw std::runtime_error("ARC does not kill " + id + ": " + said.err);
    }
}

void ArcEngine::removeAll() {
    // ARC's `fork` ends no process of a job: without its folder the job ends itself.
    run("for id in $(" + openIds() + "); do for action in kill clean; do " +
        curl("-H Content-Type:application/json --data '{\"job\":[{\"id\":\"'$id'\"}]}' "
             "\"$ARC_REST/jobs?action=$action\"") +
        "; done; done");
}

int ArcEngine::open() {
    return linesOf(openIds());
}

}  // namespace gridbridge::testing
