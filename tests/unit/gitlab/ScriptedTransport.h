#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

/// Gives prepared answers in order and keeps the requests, also those to other servers. One thread
/// at a time.
class ScriptedTransport final : public http::Transport {
public:
    Result<http::Response> send(const CallContext&, const http::Request& request) override {
        return answerTo(url, request);
    }
    const std::string& baseUrl() const override { return url; }
    Result<std::unique_ptr<http::Transport>> to(const std::string& server) const override {
        return std::unique_ptr<http::Transport>(
            std::make_unique<Elsewhere>(const_cast<ScriptedTransport&>(*this), server));
    }

    std::deque<Result<http::Response>> answers;
    std::vector<http::Request> requests;
    std::vector<std::string> servers;  ///< To which each of them went.
    std::string url = "https://git.example.org";

private:
    class Elsewhere final : public http::Transport {
    public:
        Elsewhere(ScriptedTransport& all, std::string url) : all_(all), url_(std::move(url)) {}
        Result<http::Response> send(const CallContext&, const http::Request& request) override {
            return all_.answerTo(url_, request);
        }
        const std::string& baseUrl() const override { return url_; }
        Result<std::unique_ptr<http::Transport>> to(const std::string& server) const override {
            return all_.to(server);
        }

    private:
        ScriptedTransport& all_;
        const std::string url_;
    };

    Result<http::Response> answerTo(const std::string& server, const http::Request& request) {
        requests.push_back(request);
        servers.push_back(server);
        if (answers.empty()) {
            return transientError("no answer was prepared");
        }
        auto answer = std::move(answers.front());
        answers.pop_front();
        if (answer && request.sink && answer->status / 100 == 2) {
            auto whole = std::move(answer).value();
            if (!request.sink->write(std::exchange(whole.body, {}))) {
                return uncertainError("the rest of the answer was not taken");
            }
            return whole;
        }
        return answer;
    }
};

}  // namespace gridbridge::gitlab
