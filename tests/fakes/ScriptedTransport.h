#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge/http/Transport.h"

namespace gridbridge::testing {

/// What servers were asked, and what they answer next.
struct Servers {
    std::vector<std::pair<std::string, http::Request>> asked;  ///< With the server's address.
    std::deque<Result<http::Response>> answers;
};

class ScriptedTransport final : public http::Transport {
public:
    ScriptedTransport(Servers& servers, std::string url)
        : servers_(servers), url_(std::move(url)) {}
    Result<http::Response> send(const CallContext&, const http::Request& request) override {
        servers_.asked.emplace_back(url_, request);
        if (servers_.answers.empty()) {
            return transientError("nothing more was expected");
        }
        auto answer = std::move(servers_.answers.front());
        servers_.answers.pop_front();
        if (answer && request.sink && answer->status / 100 == 2) {
            request.sink->write(answer->body);
        }
        return answer;
    }
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string& url) const override {
        return std::unique_ptr<http::Transport>(new ScriptedTransport(servers_, url));
    }

private:
    Servers& servers_;
    const std::string url_;
};

}  // namespace gridbridge::testing
