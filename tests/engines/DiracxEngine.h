#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// A DiracX with an object store, and pilots for two jobs at a time.
class DiracxEngine final : public Engine {
public:
    static DiracxEngine& get();

    std::string url();
    std::filesystem::path caFile();
    std::filesystem::path credentials() const { return folder() / "credentials.json"; }
    /// The next thing that goes wrong, as the script's `fault` takes it.
    void fault(const std::string& words);

private:
    DiracxEngine();
    std::vector<std::string> environment() const override;
    /// Of its clients.
    std::string setting(const std::string& name);
};

}  // namespace gridbridge::testing
