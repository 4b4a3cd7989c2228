#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/http/PocoTransport.h"

namespace gridbridge::gitlab {

/// How Runner and Job reach GitLab.
struct ClientOptions {
    /// PEM; trusted besides the system's authorities. Empty = those alone.
    std::filesystem::path tlsCaFile = {};
    /// PEM; a certificate of this client and its key, for a server that asks for one.
    std::filesystem::path tlsCertFile = {};
    std::filesystem::path tlsKeyFile = {};
    /// `info.features` (protocol 2.3). These the library does by itself; add what your program
    /// does, like `refspecs`: GitLab fails jobs that need a feature that is not named.
    std::vector<std::string> features = {"masking",    "trace_reset", "trace_checksum",
                                         "trace_size", "cancelable",  "return_exit_code"};
    /// Ends every wait; the call then throws Unreachable.
    std::stop_token stop = {};
    /// Null = the machine's. It must outlive all runners and jobs.
    Clock* clock = nullptr;
};

/// One server as the library sees it; shared by a runner and its jobs, whichever lives longest.
/// Safe for concurrent use.
class Client {
public:
    /// Throws Misconfigured when the address, a file of the options or a proxy is unusable.
    Client(const std::string& apiUrl, ClientOptions options);

    const std::string& apiUrl() const { return transport_.baseUrl(); }
    const ClientOptions& options() const { return options_; }
    Clock& clock() const { return clock_; }
    http::Transport& transport() { return transport_; }
    RunnerApi& api() { return api_; }
    /// For one call that may take a minute.
    CallContext call() const;
    /// Waits; throws Unreachable with `why` when stopped.
    void sleep(Millis time, const std::string& why) const;

private:
    ClientOptions options_;
    mutable SystemClock machine_;
    Clock& clock_;
    http::PocoTransport transport_;
    HttpRunnerApi api_;
};

}  // namespace gridbridge::gitlab
