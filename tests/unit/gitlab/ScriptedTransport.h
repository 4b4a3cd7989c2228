#pragma once

#include <deque>
#include <string>
#include <vector>

#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

/// Gives prepared answers in order and keeps the requests. One thread at a time.
class ScriptedTransport final : public http::Transport {
public:
    Result<http::Response> send(const CallContext&, const http::Request& request) override {
        requests.push_back(request);
        if (answers.empty()) {
            return transientError("no answer was prepared");
        }
        auto answer = std::move(answers.front());
        answers.pop_front();
        return answer;
    }
    const std::string& baseUrl() const override { return url; }

    std::deque<Result<http::Response>> answers;
    std::vector<http::Request> requests;
    std::string url = "https://git.example.org";
};

}  // namespace gridbridge::gitlab
