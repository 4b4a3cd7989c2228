#include "bridge/app/ServiceManager.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "bridge/base/Fd.h"

namespace gridbridge::app {

namespace {

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

ServiceManager::ServiceManager(const Clock& clock)
    : clock_(clock), socket_(variable("NOTIFY_SOCKET")) {
    const auto text = variable("WATCHDOG_USEC");
    std::int64_t microseconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), microseconds);
    pause_ = Millis(microseconds / 1000 / 4);
}

void ServiceManager::ready() const {
    send("READY=1");
}

void ServiceManager::reloading() const {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
        clock_.steadyNow().time_since_epoch());
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}

void ServiceManager::stopping() const {
    send("STOPPING=1");
}

void ServiceManager::alive() {
    const auto now = clock_.steadyNow();
    if (pause_.count() > 0 && now >= next_.load()) {
        next_ = now + pause_;
        send("WATCHDOG=1");
    }
}

void ServiceManager::send(const std::string& text) const {
    sockaddr_un address{};
    if (socket_.empty() || socket_.size() >= sizeof(address.sun_path)) {
        return;
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (socket_.front() == '@') {
        address.sun_path[0] = '\0';  // A name without a file (unix(7)).
    }
    const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace gridbridge::app
