#include "bridge/app/GitLabAccess.h"

#include "bridge/http/PocoTransport.h"

namespace gridbridge::app {

namespace {

constexpr Millis kAskLimit{30000};

/// What an address, a certificate or a proxy that cannot be used makes of a call.
gitlab::TokenAnswer misconfigured(const std::exception& why) {
    return {.outcome = gitlab::TokenOutcome::Misconfigured, .message = why.what()};
}

}  // namespace

std::unique_ptr<http::Transport> transportTo(const RunnerConfig& runner, const Clock& clock) {
    return std::make_unique<http::PocoTransport>(runner.url, clock, gitlab::userAgent(),
                                                 http::TransportOptions{.tls = runner.tls});
}

std::vector<std::string> features(const RunnerConfig& runner) {
    std::vector<std::string> names{"variables",
                                   "artifacts",
                                   "artifacts_exclude",
                                   "upload_multiple_artifacts",
                                   "upload_raw_artifacts",
                                   "refspecs",
                                   "masking",
                                   "raw_variables",
                                   "multi_build_steps",
                                   "return_exit_code",
                                   "trace_reset",
                                   "trace_checksum",
                                   "trace_size",
                                   "cancelable"};
    if (runner.cancelsSoftly) {
        names.emplace_back("cancel_gracefully");
    }
    if (!runner.cacheDir.empty()) {
        names.insert(names.end(), {"cache", "fallback_cache_keys"});
    }
    if (runner.hasContainers) {
        names.emplace_back("image");
    }
    return names;
}

std::string systemId(const store::Installation& installation) {
    return "r_grid" + installation.id;
}

bool isAuthenticationToken(const Secret& token) {
    return token.reveal().starts_with("glrt-");
}

CallContext HttpGitLabAccess::context() const {
    return {clock_.steadyNow() + kAskLimit};
}

gitlab::VerifyAnswer HttpGitLabAccess::verify(const RunnerConfig& runner,
                                              const std::string& systemId) {
    try {
        const auto transport = transportTo(runner, clock_);
        return gitlab::HttpRunnerApi(*transport, clock_)
            .verify(context(), {runner.token, systemId, features(runner), ""});
    } catch (const std::exception& e) {
        return {.outcome = gitlab::VerifyOutcome::Misconfigured, .message = e.what()};
    }
}

std::string HttpGitLabAccess::proxyTo(const RunnerConfig& runner) {
    try {
        const auto proxy =
            http::proxyTo(http::parseBaseUrl(runner.url), http::processEnvironment());
        return proxy ? proxy->authority + " (" + proxy->variable + ")" : "";
    } catch (const std::invalid_argument&) {
        return "";  // Whoever asks a call hears why.
    }
}

gitlab::TokenAnswer HttpGitLabAccess::registerRunner(const RunnerConfig& runner,
                                                     const gitlab::NewRunner& made) {
    try {
        const auto transport = transportTo(runner, clock_);
        return gitlab::HttpTokenApi(*transport).registerRunner(context(), runner.token, made);
    } catch (const std::exception& e) {
        return misconfigured(e);
    }
}

gitlab::TokenAnswer HttpGitLabAccess::unregister(const RunnerConfig& runner,
                                                 const std::string& systemId) {
    try {
        const auto transport = transportTo(runner, clock_);
        gitlab::HttpTokenApi api(*transport);
        return isAuthenticationToken(runner.token)
                   ? api.removeManager(context(), runner.token, systemId)
                   : api.removeRunner(context(), runner.token);
    } catch (const std::exception& e) {
        return misconfigured(e);
    }
}

}  // namespace gridbridge::app
