#include "tests/simulation/Network.h"

#include <algorithm>
#include <utility>

namespace gridbridge::simulation {

using namespace std::chrono_literals;

namespace {

fakegitlab::Request asReceived(const http::Request& request) {
    fakegitlab::Request received;
    const auto mark = request.path.find('?');
    received.method = request.method;
    received.path = request.path.substr(0, mark);
    received.query = mark == std::string::npos ? "" : request.path.substr(mark + 1);
    for (auto [name, value] : request.headers) {
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        received.headers[name] = value;
    }
    received.body = request.body;
    return received;
}

}  // namespace

Result<http::Response> Network::send(const CallContext& ctx, const http::Request& request) {
    const bool hangs = dice_.chance(hangs_);
    const bool arrives = !hangs || dice_.chance(0.5);
    clock_.pause(dice_.time(1ms, 40ms));
    const auto received = asReceived(request);
    const bool claim = received.path.ends_with("/jobs/request");
    fakegitlab::Reply reply;
    if (arrives) {
        auto made = defect_.request(received);
        reply = made ? std::move(*made) : gitlab_.handle(received);
    }
    clock_.pause(dice_.time(1ms, 40ms) + reply.delay);
    if (hangs) {
        ++hung_;
        clock_.sleepUntil(ctx.deadline, ctx.stop);
    }
    if (hangs || reply.delivery != fakegitlab::Delivery::Whole) {
        return uncertainError("the connection was cut");
    }
    if (claim && reply.status == 201) {
        claims_.insert(reply.claimed);
        lastClaim_ = reply.claimed;
    }
    if (request.sink && reply.status / 100 == 2) {
        if (!request.sink->write(std::exchange(reply.body, {}))) {
            return uncertainError("the rest of the answer was not taken");
        }
    }
    return http::Response{reply.status, reply.headers, reply.body};
}

}  // namespace gridbridge::simulation
