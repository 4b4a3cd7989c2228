#pragma once

#include <filesystem>
#include <string>

#include "bridge/app/Commands.h"
#include "bridge/gitlab/TokenApi.h"

namespace gridbridge::app {

/// What `register` was asked for. Exactly one of the four token fields is filled.
struct RegistrationRequest {
    std::string name = {};
    std::string url = {};
    Secret token = {};
    std::string tokenFile = {};  ///< `-` = standard input.
    Secret registrationToken = {};
    std::string registrationTokenFile = {};
    std::string backend = {};  ///< Empty = the only one there is.
    http::TlsFiles tls = {};
    gitlab::NewRunner made = {};   ///< With a registration token only.
    bool describesRunner = false;  ///< Something of `made` was asked for.
};

/// Writes `config.d/NAME.toml` for a runner whose token GitLab knows, or with a registration token
/// for one that GitLab makes. Returns the exit code; may throw ConfigError and StoreError.
int registerRunner(const std::filesystem::path& config, const RegistrationRequest& request,
                   const CommandWorld& world);

/// Removes this manager, or a runner made with a registration token, at GitLab, then its file.
int unregisterRunner(const std::filesystem::path& config, const std::string& name,
                     const CommandWorld& world);

}  // namespace gridbridge::app
