#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "bridge/gitlab/TokenApi.h"

namespace gridbridge::testing {

/// Renews tokens to `glrt-new-1`, `glrt-new-2` and so on unless told otherwise. One thread at a
/// time.
class FakeTokenApi final : public gitlab::TokenApi {
public:
    explicit FakeTokenApi(const Clock& clock) : clock_(clock) {}

    gitlab::TokenAnswer registerRunner(const CallContext&, const Secret&,
                                       const gitlab::NewRunner&) override {
        return {};
    }
    gitlab::TokenAnswer resetToken(const CallContext&, const Secret& token) override {
        resets.push_back(token.reveal());
        if (beforeAnswer) {
            beforeAnswer();
        }
        if (!answers.empty()) {
            auto answer = answers.front();
            answers.pop_front();
            return answer;
        }
        return {.outcome = gitlab::TokenOutcome::Done,
                .token = Secret("glrt-new-" + std::to_string(resets.size())),
                .expiresAt = clock_.wallNow() + life};
    }
    gitlab::TokenAnswer removeManager(const CallContext&, const Secret&,
                                      const std::string&) override {
        return {};
    }
    gitlab::TokenAnswer removeRunner(const CallContext&, const Secret&) override { return {}; }

    std::vector<std::string> resets;  ///< The tokens that were to be renewed.
    std::deque<gitlab::TokenAnswer> answers;
    std::function<void()> beforeAnswer;
    Millis life = std::chrono::hours(100);

private:
    const Clock& clock_;
};

}  // namespace gridbridge::testing
