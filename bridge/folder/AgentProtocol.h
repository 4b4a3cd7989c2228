#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// What the service and `gridbridge agent` say to each other, over the agent's standard input and
/// output. A frame is the number of its bytes (4, little-endian) and the bytes. The agent begins
/// with the greeting; then each request has one answer, in order. Neither side trusts the other:
/// jobs of the agent's account may have put themselves in its place.

/// Ends with the number of this protocol: a service that was upgraded but not started again would
/// start an agent of the new release.
inline constexpr std::string_view kAgentGreeting = "gridbridge agent 2";
inline constexpr std::size_t kMostRequestBytes = std::size_t{256} << 20;
/// Of files, in one answer. What has no room in it is asked for again.
inline constexpr std::size_t kMostBytesRead = std::size_t{16} << 20;
inline constexpr std::size_t kMostChunks = 4096;
inline constexpr std::size_t kMostAnswerBytes = kMostBytesRead + kMostChunks * 1024;

enum class AgentCall : std::uint8_t {
    Stage = 1,
    Start,  ///< Answered with the process; then comes Go, which is answered too.
    Go,
    Read,
    Mark,
    RequestCancel,
    Signal,
    Reap,
    Free,
    Begin,
    Append,
};

/// Writes a frame.
class Packer {
public:
    Packer() = default;
    explicit Packer(AgentCall call) { number(static_cast<std::uint64_t>(call)); }

    Packer& number(std::uint64_t value);
    Packer& text(std::string_view value);
    Packer& well() { return number(0); }
    Packer& error(const Error& error);
    const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};

/// Reads a frame. After something wrong all that follows is zero or empty, and `done` is false.
class Unpacker {
public:
    explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

    std::uint64_t number(std::uint64_t most = std::numeric_limits<std::uint64_t>::max(),
                         std::uint64_t least = 0);
    std::string text(std::size_t most);
    /// What well() or error() wrote; the message is one line of plain characters.
    std::optional<Error> outcome();
    /// All of it was read, and all was well.
    bool done() const { return good_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

/// `text` up to its first line's end, at most 300 characters, without control characters.
std::string oneLine(std::string_view text);

/// False: the other side is gone, or was not there in time.
bool sendFrame(int fd, std::string_view body, const Clock& clock, SteadyTime deadline);
/// Nothing: it ended, was not there in time, or announced more than `most` bytes.
std::optional<std::string> receiveFrame(int fd, std::size_t most, const Clock& clock,
                                        SteadyTime deadline);

}  // namespace gridbridge::folder
