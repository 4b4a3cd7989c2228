#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"
#include "bridge/http/Transport.h"

namespace gridbridge {

/// The access token of one DiracX identity, kept in the official client's credential file
/// (`DIRACX_CREDENTIALS_PATH`): `{"access_token", "refresh_token"|null, "expires_on"}`, mode 0600,
/// `flock` for who reads and writes. Rotating and long-lived refresh tokens. Safe for concurrent
/// use; one refresh at a time, also between processes.
class DiracTokens {
public:
    /// `file`: absolute. `transport` (to the DiracX) and `clock` must outlive this.
    DiracTokens(std::filesystem::path file, http::Transport& transport, const Clock& clock);

    /// One that holds for a while yet; refreshed, and stored before it is returned, when it does
    /// not. Errors: Transient = DiracX or the file's lock cannot be had now; misconfigured = a login
    /// is needed, or the file is missing, readable by others, foreign, or no credential file: the
    /// message names the file and says what to do. No message holds a token.
    Result<Secret> access(const CallContext& ctx);
    /// Another than `refused`, which DiracX did not take (401).
    Result<Secret> renew(const CallContext& ctx, const Secret& refused);

private:
    std::filesystem::path file_;
    http::Transport& transport_;
    const Clock& clock_;
    std::mutex mutex_;
};

}  // namespace gridbridge
