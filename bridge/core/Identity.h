#pragma once

#include <mutex>
#include <utility>

#include "bridge/gitlab/RunnerApi.h"

namespace gridbridge::core {

/// Who a runner is to GitLab; its token changes when it is renewed, or when the configuration is
/// read again. Safe for concurrent use.
class Identity {
public:
    explicit Identity(gitlab::RunnerIdentity identity) : identity_(std::move(identity)) {}

    gitlab::RunnerIdentity get() const {
        const std::lock_guard lock(mutex_);
        return identity_;
    }
    void renew(Secret token) {
        const std::lock_guard lock(mutex_);
        identity_.token = std::move(token);
        ++version_;
    }
    /// Other than before once the token was given anew, be it the same one.
    int version() const {
        const std::lock_guard lock(mutex_);
        return version_;
    }

private:
    mutable std::mutex mutex_;
    gitlab::RunnerIdentity identity_;
    int version_ = 0;
};

}  // namespace gridbridge::core
