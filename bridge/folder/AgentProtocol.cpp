#include "bridge/folder/AgentProtocol.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gridbridge::folder {
namespace {

constexpr std::size_t kLongestMessage = 300;

template <std::size_t Size>
std::array<char, Size> littleEndian(std::uint64_t value) {
    std::array<char, Size> bytes{};
    for (char& byte : bytes) {
        byte = static_cast<char>(value & 0xffU);
        value >>= 8U;
    }
    return bytes;
}

std::uint64_t valueOf(std::string_view littleEndian) {
    std::uint64_t value = 0;
    for (auto at = littleEndian.size(); at-- > 0;) {
        value = (value << 8U) | static_cast<unsigned char>(littleEndian[at]);
    }
    return value;
}

/// False when the time is over.
bool await(int fd, short events, const Clock& clock, SteadyTime deadline) {
    for (;;) {
        int timeout = -1;
        if (deadline != SteadyTime::max()) {
            const auto left = std::chrono::ceil<Millis>(deadline - clock.steadyNow());
            timeout = static_cast<int>(std::clamp(left, Millis{0}, Millis{60'000}).count());
        }
        pollfd event{fd, events, 0};
        const int ready = ::poll(&event, 1, timeout);
        if (ready > 0) {
            return true;
        }
        if ((ready < 0 && errno != EINTR) || (ready == 0 && clock.steadyNow() >= deadline)) {
            return false;
        }
    }
}

bool mayPass(int code) {
    return code == EINTR || code == EAGAIN;
}

/// The agent's output is a pipe when sudo stands between.
ssize_t writeSome(int fd, std::string_view bytes) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? ::write(fd, bytes.data(), bytes.size()) : sent;
}

bool sendAll(int fd, std::string_view bytes, const Clock& clock, SteadyTime deadline) {
    while (!bytes.empty()) {
        if (!await(fd, POLLOUT, clock, deadline)) {
            return false;
        }
        const auto sent = writeSome(fd, bytes);
        if (sent < 0 && !mayPass(errno)) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
    }
    return true;
}

bool receiveAll(int fd, char* into, std::size_t size, const Clock& clock, SteadyTime deadline) {
    while (size > 0) {
        if (!await(fd, POLLIN, clock, deadline)) {
            return false;
        }
        const auto got = ::read(fd, into, size);
        if (got == 0 || (got < 0 && !mayPass(errno))) {
            return false;
        }
        if (got > 0) {
            into += got;
            size -= static_cast<std::size_t>(got);
        }
    }
    return true;
}

}  // namespace

Packer& Packer::number(std::uint64_t value) {
    const auto bytes = littleEndian<8>(value);
    bytes_.append(bytes.data(), bytes.size());
    return *this;
}

Packer& Packer::text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
    return *this;
}

Packer& Packer::error(const Error& error) {
    return number(static_cast<std::uint64_t>(error.kind) + 1).text(oneLine(error.message));
}

std::uint64_t Unpacker::number(std::uint64_t most, std::uint64_t least) {
    if (!good_ || rest_.size() < 8) {
        good_ = false;
        return 0;
    }
    const auto value = valueOf(rest_.substr(0, 8));
    rest_.remove_prefix(8);
    good_ = least <= value && value <= most;
    return good_ ? value : 0;
}

std::string Unpacker::text(std::size_t most) {
    const auto size = number(most);
    if (!good_ || rest_.size() < size) {
        good_ = false;
        return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
}

std::optional<Error> Unpacker::outcome() {
    const auto kind = number(static_cast<std::uint64_t>(ErrorKind::Permanent) + 1);
    if (kind == 0) {
        return std::nullopt;
    }
    return Error{static_cast<ErrorKind>(kind - 1), oneLine(text(kLongestMessage))};
}

std::string oneLine(std::string_view text) {
    std::string line(text.substr(0, std::min(text.find_first_of("\r\n"), kLongestMessage)));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return line;
}

bool sendFrame(int fd, std::string_view body, const Clock& clock, SteadyTime deadline) {
    const auto size = littleEndian<4>(body.size());
    return body.size() <= kMostRequestBytes &&
           sendAll(fd, {size.data(), size.size()}, clock, deadline) &&
           sendAll(fd, body, clock, deadline);
}

std::optional<std::string> receiveFrame(int fd, std::size_t most, const Clock& clock,
                                        SteadyTime deadline) {
    std::array<char, 4> head{};
    if (!receiveAll(fd, head.data(), head.size(), clock, deadline)) {
        return std::nullopt;
    }
    const auto size = valueOf({head.data(), head.size()});
    if (size > most) {
        return std::nullopt;
    }
    std::string body(size, '\0');
    if (!receiveAll(fd, body.data(), body.size(), clock, deadline)) {
        return std::nullopt;
    }
    return body;
}

}  // namespace gridbridge::folder
