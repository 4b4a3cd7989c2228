#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/diracx/DiracQuery.h"
#include "backends/diracx/DiracTokens.h"
#include "bridge/base/Clock.h"
#include "bridge/http/Transport.h"

namespace gridbridge {

/// The calls of one DiracX, each with a token of `tokens`, which is shown to nobody else. Safe for
/// concurrent use. Errors: Transient = it had no effect; Uncertain = a call that changes something
/// was sent, and no answer, or one that does not say that nothing was done, came; misconfigured = a
/// person must act. Permanent: where it is said.
class DiracxClient {
public:
    /// All three must outlive this.
    DiracxClient(http::Transport& transport, DiracTokens& tokens, const Clock& clock);

    /// Whose jobs these are, asked of the server.
    Result<DiracxIdentity> identity(const CallContext& ctx);
    /// A complete answer, of the jobs of whoever has logged in.
    Result<DiracxFound> search(const CallContext& ctx, const DiracxQuery& query);
    /// The ids in order, of jobs of this owner; Transient where the login is another's by now.
    /// Permanent: one of them, nobody says which, is refused, and none is taken.
    Result<std::vector<std::int64_t>> submit(const CallContext& ctx, const DiracOwner& owner,
                                             const std::vector<std::string>& jdls);
    /// The states in which the jobs are then.
    Result<std::map<std::int64_t, std::string>> kill(const CallContext& ctx,
                                                     std::span<const DiracxKill> kills);
    /// The name of a sandbox of these bytes, which is stored then.
    Result<std::string> upload(const CallContext& ctx, const std::string& packed);
    /// The newest output sandbox of a job; empty = there is none.
    Result<std::string> outputOf(const CallContext& ctx, std::int64_t id);
    /// Writes a sandbox into `file` from its beginning on. Permanent: it is there no more, or
    /// cannot be had by DiracX.
    Result<void> download(const CallContext& ctx, const std::string& name, std::FILE* file);

private:
    enum class Kind { Read, Change };

    /// `owner`: whose token it must be sent with; null = anybody's.
    Result<http::Response> call(const CallContext& ctx, Kind kind, const std::string& method,
                                const std::string& path, const std::string& body = {},
                                const DiracOwner* owner = nullptr);
    Result<http::Response> sendOnce(const CallContext& ctx, const http::Request& request,
                                    const Secret& token, const DiracOwner* owner);
    Result<DiracOwner> owner(const CallContext& ctx);
    Result<std::map<std::int64_t, std::string>> killSome(const CallContext& ctx,
                                                         std::span<const DiracxKill> kills);
    /// To the object store; only TLS, but on this machine.
    Result<http::Response> elsewhere(const CallContext& ctx, const std::string& url,
                                     http::Request request);

    http::Transport& transport_;
    DiracTokens& tokens_;
    const Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<http::Transport>> stores_;  ///< By address.
};

}  // namespace gridbridge
