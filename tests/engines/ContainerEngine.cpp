#include "tests/engines/ContainerEngine.h"

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

namespace {

std::string lineOf(const std::filesystem::path& file) {
    const auto text = readFile(file);
    return text.substr(0, text.find('\n'));
}

}  // namespace

std::string ContainerEngine::account() const {
    return lineOf(folder() / "account");
}

std::string ContainerEngine::registry() const {
    return lineOf(folder() / "registry");
}

std::string ContainerEngine::asAccount(const std::string& command) {
    return run("cd / && setpriv --reuid " + account() + " --regid " + account() +
               " --init-groups env HOME=" + (folder() / "home").string() + " " + command)
        .out;
}

bool ContainerEngine::hasApptainer() const {
    return std::filesystem::exists(folder() / "apptainer");
}

std::vector<std::string> ContainerEngine::environment() const {
    return {"CONTAINER_ENGINE_INSTALLED_ONLY=1", "CONTAINER_ENGINE_APPTAINER=" CONTAINER_APPTAINER};
}

}  // namespace gridbridge::testing
