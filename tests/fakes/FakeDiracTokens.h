#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bridge/http/Transport.h"

namespace gridbridge::testing {

/// What DiracX knows of the refresh tokens of one user: each holds once, and one that is shown a
/// second time takes all others with it. Safe for concurrent use.
class FakeDiracTokens {
public:
    /// Of a refresh token that holds until it is taken back, as legacy exchange gives it.
    std::string longLived() {
        const std::lock_guard lock(mutex_);
        // {"legacy_exchange":true}
        const std::string token = "head.eyJsZWdhY3lfZXhjaGFuZ2UiOnRydWV9.secret";
        longLived_.insert(token);
        return token;
    }
    /// A login by a person: a refresh token that holds once.
    std::string login() {
        const std::lock_guard lock(mutex_);
        return newRefreshToken();
    }
    /// The answer to POST /api/auth/token; refreshes if that may be.
    http::Response answer(const std::string& form) {
        const std::lock_guard lock(mutex_);
        const std::string begin = "grant_type=refresh_token&refresh_token=";
        const std::string end = "&client_id=myDIRACClientID";
        if (!form.starts_with(begin) || !form.ends_with(end)) {
            return {.status = 422, .body = R"({"detail":[{"type":"missing"}]})"};
        }
        const auto token = form.substr(begin.size(), form.size() - begin.size() - end.size());
        shown_.push_back(token);
        if (longLived_.contains(token)) {
            return tokens(token);
        }
        if (used_.contains(token)) {
            ++revocations_;
            fresh_.clear();
            return {.status = 401,
                    .body = R"({"detail":"Revoked refresh token reused: potential attack"})"};
        }
        if (fresh_.erase(token) == 0) {
            return {.status = 401, .body = R"({"detail":"Invalid JWT"})"};
        }
        used_.insert(token);
        return tokens(newRefreshToken());
    }

    bool gave(const std::string& access) const {
        const std::lock_guard lock(mutex_);
        return access_.contains(access);
    }
    /// Every refresh token that was shown, in order.
    std::vector<std::string> shown() const {
        const std::lock_guard lock(mutex_);
        return shown_;
    }
    int revocations() const {
        const std::lock_guard lock(mutex_);
        return revocations_;
    }
    void setLifetime(int seconds) {
        const std::lock_guard lock(mutex_);
        lifetime_ = seconds;
    }

private:
    std::string newRefreshToken() {
        return *fresh_.insert("secret-refresh-" + std::to_string(++count_)).first;
    }
    http::Response tokens(const std::string& refresh) {
        const auto access = "secret-access-" + std::to_string(++count_);
        access_.insert(access);
        return {.status = 200,
                .body = R"({"access_token":")" + access + R"(","expires_in":)" +
                        std::to_string(lifetime_) + R"(,"token_type":"Bearer","refresh_token":")" +
                        refresh + "\"}"};
    }

    mutable std::mutex mutex_;
    std::set<std::string> fresh_;
    std::set<std::string> used_;
    std::set<std::string> longLived_;
    std::set<std::string> access_;
    std::vector<std::string> shown_;
    int lifetime_ = 60;
    int count_ = 0;
    int revocations_ = 0;
};

/// Leads to a FakeDiracTokens without a network, but for prepared faults. Safe for concurrent use
/// once these are prepared.
class FakeDiracTransport final : public http::Transport {
public:
    using Answer = Result<http::Response>;
    /// Gets what has DiracX answer.
    using Fault = std::function<Answer(const std::function<http::Response()>&)>;

    explicit FakeDiracTransport(FakeDiracTokens& dirac) : dirac_(dirac) {}

    Answer send(const CallContext&, const http::Request& request) override {
        const auto real = [&] { return dirac_.answer(request.body); };
        const auto fault = next();
        auto answer = fault ? fault(real) : Answer(real());
        if (answer && request.sink && answer->status / 100 == 2) {
            auto whole = std::move(answer).value();
            request.sink->write(std::exchange(whole.body, {}));
            return whole;
        }
        return answer;
    }
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string&) const override {
        return permanentError("there is nothing else");
    }

    /// One per coming request.
    void prepare(Fault fault) {
        const std::lock_guard lock(mutex_);
        faults_.push_back(std::move(fault));
    }

private:
    Fault next() {
        const std::lock_guard lock(mutex_);
        Fault fault;
        if (!faults_.empty()) {
            fault = std::move(faults_.front());
            faults_.pop_front();
        }
        return fault;
    }

    FakeDiracTokens& dirac_;
    const std::string url_ = "https://dirac.example.org";
    std::mutex mutex_;
    std::deque<Fault> faults_;
};

}  // namespace gridbridge::testing
