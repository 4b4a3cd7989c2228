#include "tests/e2e/Service.h"

namespace gridbridge::testing {

std::string usualBackend(Service&, const std::filesystem::path&) {
    return "type = \"local\"\nslots = 4\ntrusted_jobs = true\n";
}

}  // namespace gridbridge::testing
