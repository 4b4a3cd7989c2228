#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/diraccli/DiracCommands.h"
#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// The genuine commands of DIRAC, a service that takes their calls, and the DiracX behind it with
/// pilots for two jobs at a time.
class DiracCliEngine final : public Engine {
public:
    static DiracCliEngine& get();

    DiracCliConfig config();
    /// The next thing that goes wrong, as the script's `fault` takes it.
    void fault(const std::string& words);
    /// Another proxy, in that file: of a user and group, and whether it has ended.
    void makeProxy(const std::filesystem::path& file, const std::string& words);

private:
    DiracCliEngine();
    std::vector<std::string> environment() const override;
    void script(const std::string& verb, const std::string& words);
};

}  // namespace gridbridge::testing
