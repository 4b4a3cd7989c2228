#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "backends/diracx/DiracCredentialFile.h"
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
    DiracTokens(const std::filesystem::path& file, http::Transport& transport, Clock& clock);

    /// One that holds for a while yet; refreshed, and stored before it is returned, when it does
    /// not. Errors: Transient = DiracX or the file's lock cannot be had now; misconfigured = a
    /// login is needed, or the file is missing, readable by others, foreign, or no credential file:
    /// the message names the file and says what to do. No message holds a token. The answer to a
    /// refresh, the only copy of the new tokens, is waited for at least 20 s, whatever `ctx` says.
    Result<Secret> access(const CallContext& ctx);
    /// Another than `refused`, which DiracX did not take (401).
    Result<Secret> renew(const CallContext& ctx, const Secret& refused);

private:
    /// Tokens that DiracX gave and the disk did not take.
    struct Unstored {
        Secret after;  ///< The refresh token that they replace.
        DiracCredential credential;
    };
    struct Failure {
        SteadyTime until;  ///< Not asked again before.
        Error error;
    };

    using Opened = DiracCredentialFile::Opened;

    /// `refused` is empty when none was.
    Result<Secret> obtain(const CallContext& ctx, const Secret& refused);
    /// Nothing = another has the file's lock.
    Result<std::optional<Secret>> attempt(const CallContext& ctx, const Secret& refused);
    bool usable(const DiracCredential& credential, const Secret& refused) const;
    /// No refresh is due, or none can be had just now and this one is usable.
    bool suffices(const DiracCredential& credential, const Secret& refused) const;

    /// `opened` has the exclusive lock, and the new tokens after a success.
    Result<void> refresh(const CallContext& ctx, Opened& opened);
    Result<http::Response> ask(const CallContext& ctx, const DiracCredential& credential);
    Result<void> take(Opened& opened, const DiracCredential& before, WallTime asked,
                      const http::Response& answer);
    Result<void> store(Opened& opened, const DiracCredential& before, const DiracCredential& next);
    Error unanswered(Opened& opened, const DiracCredential& before, const Error& error) const;
    /// DiracX has certainly not used the refresh token.
    Error unchanged(Opened& opened, const DiracCredential& before, Error error) const;
    /// It may have.
    Error lost(const Opened& opened, const DiracCredential& before, const std::string& why) const;
    Error outOfTime() const;

    void see(const DiracCredential& credential);
    std::optional<DiracCredential> seenLast() const;
    std::optional<DiracCredential> unstoredAfter(const Secret& refresh) const;
    std::optional<Error> failedJustNow() const;

    DiracCredentialFile file_;
    http::Transport& transport_;
    Clock& clock_;
    mutable std::mutex mutex_;  ///< Of what follows; held only to look at it.
    std::optional<DiracCredential> seen_;
    std::optional<Unstored> unstored_;
    std::optional<Failure> failure_;
};

}  // namespace gridbridge
