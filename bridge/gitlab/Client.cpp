#include "bridge/gitlab/Client.h"

#include "bridge/gitlab/Errors.h"

namespace gridbridge::gitlab {

namespace {

constexpr auto kCallLimit = std::chrono::minutes(1);

http::PocoTransport transportTo(const std::string& url, const Clock& clock,
                                const ClientOptions& options) {
    try {
        return http::PocoTransport(
            url, clock, userAgent(),
            {.tls = {options.tlsCaFile, options.tlsCertFile, options.tlsKeyFile}});
    } catch (const std::invalid_argument& fault) {
        throw Misconfigured(fault.what());
    }
}

}  // namespace

Client::Client(const std::string& apiUrl, ClientOptions options)
    : options_(std::move(options)),
      clock_(options_.clock != nullptr ? *options_.clock : machine_),
      transport_(transportTo(apiUrl, clock_, options_)),
      api_(transport_, clock_) {}

CallContext Client::call() const {
    return {.deadline = clock_.steadyNow() + kCallLimit, .stop = options_.stop};
}

void Client::sleep(Millis time, const std::string& why) const {
    if (!clock_.sleepUntil(clock_.steadyNow() + time, options_.stop)) {
        throw Unreachable("stopped while waiting: " + why);
    }
}

}  // namespace gridbridge::gitlab
