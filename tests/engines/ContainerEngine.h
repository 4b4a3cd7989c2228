#pragma once

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// An account without any rights that runs podman, with images, and a registry; see container.sh.
class ContainerEngine final : public Engine {
public:
    ContainerEngine() : Engine("podman", CONTAINER_SH) {}
    using Engine::folder;
    std::string account() const;
    /// Host and port of the registry.
    std::string registry() const;
    /// As the account, with its home.
    std::string asAccount(const std::string& command);
    /// Whether its jobs find an apptainer.
    bool hasApptainer() const;

private:
    std::vector<std::string> environment() const override;
};

}  // namespace gridbridge::testing
