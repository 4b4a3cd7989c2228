#include "tests/e2e/Service.h"
#include "tests/engines/Engine.h"

namespace gridbridge::testing {

std::string usualBackend(Service& service, const std::filesystem::path& folder) {
    // Jobs may be another account's, which must be able to run the executable, wherever it was
    // built, and to leave there what a test looks at.
    const auto program = folder / "gridbridge";
    std::filesystem::copy_file(GRIDBRIDGE_EXECUTABLE, program);
    service.launchWith({}, program);
    using std::filesystem::perms;
    std::filesystem::permissions(folder, perms::all | perms::sticky_bit);
    auto& engine = ServiceEngine::get();
    return engine.backendLines(4, engine.commandFolder(), {});
}

}  // namespace gridbridge::testing
