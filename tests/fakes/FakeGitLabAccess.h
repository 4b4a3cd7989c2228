#pragma once

#include "bridge/app/GitLabAccess.h"

namespace gridbridge::testing {

/// A GitLab for commands that answers as the test says.
class FakeGitLabAccess final : public app::GitLabAccess {
public:
    gitlab::VerifyAnswer verify(const app::RunnerConfig&, const std::string&) override {
        return verified;
    }
    std::string proxyTo(const app::RunnerConfig&) override { return proxy; }
    gitlab::TokenAnswer registerRunner(const app::RunnerConfig&,
                                       const gitlab::NewRunner&) override {
        return {};
    }
    gitlab::TokenAnswer unregister(const app::RunnerConfig&, const std::string&) override {
        return {};
    }

    std::string proxy;
    gitlab::VerifyAnswer verified{gitlab::VerifyOutcome::Valid, 7, ""};
};

}  // namespace gridbridge::testing
