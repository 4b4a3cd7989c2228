#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/diracx/DiracxSandbox.h"
#include "backends/diracx/LiveLog.h"
#include "backends/diracx/LiveLogConfig.h"
#include "bridge/base/Secret.h"
#include "bridge/http/Server.h"

namespace gridbridge {

/// Names in a submission's `in/` on the node: where its log goes to and with which token, for curl,
/// and the authorities of the receiver's certificate.
inline constexpr const char* kLiveName = "live";
inline constexpr const char* kLiveCaName = "live-ca.pem";

/// Where wrappers on nodes without a shared folder post the logs of jobs that run, and hear of a
/// cancel: `POST /v1/log/KEY?run=RUN&offset=N`, at most 64 KiB, with a token that is good for this
/// key alone. What it answers, docs/diracx.md tells. Safe for concurrent use.
class LiveLogReceiver {
public:
    /// Listens from then on. The key of the tokens is kept in `workDir`, that of the backend.
    /// Throws std::runtime_error where it cannot listen, or has no such key or no authorities.
    /// `log` and `clock` must outlive it.
    LiveLogReceiver(LiveLogConfig config, std::filesystem::path workDir, LiveLog& log,
                    Clock& clock);

    std::uint16_t port() const { return server_->port(); }
    /// What the wrapper needs, for the sandbox only: one of them is secret.
    std::vector<SandboxFile> filesFor(const SubmissionKey& key) const;
    /// A copy of the job has been heard a short time ago, so it will hear of a cancel soon.
    bool hears(const JobRef& ref);
    void forget(const SubmissionKey& key);

private:
    struct Target;
    http::ServerReply answer(const http::ServerRequest& request);
    http::ServerReply take(const Target& target, const std::string& body);
    std::string tokenOf(const SubmissionKey& key) const;
    bool isAllowed(const http::ServerRequest& request, const SubmissionKey& key) const;

    const LiveLogConfig config_;
    const std::filesystem::path workDir_;
    LiveLog& log_;
    Clock& clock_;
    const std::string authorities_;  ///< Read once, as the certificate is.
    const Secret key_;
    const SteadyTime since_;
    std::mutex mutex_;
    std::map<std::string, SteadyTime> heard_;  ///< When last, by key.
    std::unique_ptr<http::Server> server_;     ///< Last: it calls while it is there.
};

}  // namespace gridbridge
