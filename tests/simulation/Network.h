#pragma once

#include <set>

#include "bridge/http/Transport.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/simulation/Actors.h"
#include "tests/simulation/Defects.h"
#include "tests/simulation/Plan.h"

namespace gridbridge::simulation {

/// The way to GitLab: every call takes its time, some never come back.
class Network final : public http::Transport {
public:
    Network(fakegitlab::FakeGitLab& gitlab, WorldClock& clock, Dice& dice, double hangs,
            Defect& defect)
        : gitlab_(gitlab),
          clock_(clock),
          dice_(dice),
          hangs_(hangs),
          defect_(defect),
          url_(gitlab.url()) {}

    Result<http::Response> send(const CallContext& ctx, const http::Request& request) override;
    const std::string& baseUrl() const override { return url_; }
    /// There is no other server.
    Result<std::unique_ptr<http::Transport>> to(const std::string&) const override {
        return permanentError("only GitLab is reached");
    }

    void hang(double rate) { hangs_ = rate; }
    /// Jobs whose whole 201 has reached the program.
    const std::set<fakegitlab::JobId>& claims() const { return claims_; }
    /// The last of them was never stored, and the kill that has just been allows it.
    void loseLastClaim() { claims_.erase(lastClaim_); }
    int hung() const { return hung_; }

private:
    fakegitlab::FakeGitLab& gitlab_;
    WorldClock& clock_;
    Dice& dice_;
    double hangs_;
    Defect& defect_;
    std::string url_;
    std::set<fakegitlab::JobId> claims_;
    fakegitlab::JobId lastClaim_ = 0;
    int hung_ = 0;
};

}  // namespace gridbridge::simulation
