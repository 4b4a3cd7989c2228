#include "bridge/folder/AgentChild.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>

#include "bridge/base/Spawn.h"
#include "bridge/folder/AgentProtocol.h"

namespace gridbridge::folder {
namespace {

using std::chrono::seconds;

/// After a start that failed.
constexpr seconds kStartAgain{3};
/// From the end of its input to the kill, and from that to our leaving.
constexpr int kEndMillis = 2000;
/// Agents that were given up and still exist: more than that are not started.
constexpr std::size_t kMostGivenUp = 4;

struct Ends {
    Fd first;
    Fd second;
};

std::optional<Ends> makeLine() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return std::nullopt;
    }
    Ends line{Fd(ends[0]), Fd(ends[1])};
    // Only our end: the agent's must block.
    ::fcntl(line.first.get(), F_SETFL, O_NONBLOCK);
    return line;
}

std::optional<Ends> makePipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    Ends pipe{Fd(ends[0]), Fd(ends[1])};
    ::fcntl(pipe.first.get(), F_SETFL, O_NONBLOCK);
    return pipe;
}

bool endsWithin(const Fd& handle, int millis) {
    pollfd event{handle.get(), POLLIN, 0};
    return handle && ::poll(&event, 1, millis) > 0;
}

}  // namespace

AgentChild::AgentChild(Account account, std::vector<std::string> argv, Clock& clock, Millis limit)
    : account_(std::move(account)), argv_(std::move(argv)), clock_(clock), limit_(limit) {}

AgentChild::~AgentChild() {
    if (line_) {
        line_.reset();
        if (!endsWithin(process_.handle, kEndMillis)) {
            ::kill(process_.pid, SIGKILL);
            endsWithin(process_.handle, kEndMillis);
        }
        givenUp_.push_back(std::move(process_));
    }
    reapEnded();
}

void AgentChild::reapEnded() {
    std::erase_if(givenUp_, [](const Process& process) {
        return ::waitpid(process.pid, nullptr, WNOHANG) != 0;
    });
}

void AgentChild::giveUp() {
    line_.reset();
    errors_.reset();
    ::kill(process_.pid, SIGKILL);
    givenUp_.push_back(std::move(process_));
}

Error AgentChild::failed(const std::string& why) {
    std::array<char, 1024> said{};
    // What it wrote is there once it has ended, which it does with its input.
    if (line_) {
        ::shutdown(line_.get(), SHUT_WR);
        endsWithin(process_.handle, kEndMillis);
    }
    const auto size = errors_ ? ::read(errors_.get(), said.data(), said.size()) : 0;
    if (line_) {
        giveUp();
    }
    const std::string_view words(said.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    lastFailure_ =
        "cannot act as account " + account_.name + ": " + (words.empty() ? why : oneLine(words));
    startAgainAt_ = clock_.steadyNow() + kStartAgain;
    return transientError(lastFailure_);
}

Result<void> AgentChild::launch() {
    auto line = makeLine();
    auto errors = makePipe();
    if (!line || !errors) {
        return failed(std::generic_category().message(errno));
    }
    const auto pid =
        spawn({.argv = argvAs(account_, argv_), .environment = environmentOf(account_)},
              {line->second.get(), line->second.get(), errors->second.get()});
    if (!pid) {
        return failed(pid.error().message);
    }
    process_ = {*pid, Fd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)))};
    line_ = std::move(line->first);
    errors_ = std::move(errors->first);
    return {};
}

Result<void> AgentChild::start() {
    reapEnded();
    if (line_) {
        return {};
    }
    if (!lastFailure_.empty() && clock_.steadyNow() < startAgainAt_) {
        return transientError(lastFailure_);
    }
    if (givenUp_.size() >= kMostGivenUp) {
        return transientError(std::to_string(givenUp_.size()) + " agents of account " +
                              account_.name + " hang; something stops them, or a file system");
    }
    if (auto launched = launch(); !launched) {
        return launched;
    }
    const auto greeting =
        receiveFrame(line_.get(), kAgentGreeting.size(), clock_, clock_.steadyNow() + limit_);
    if (!greeting) {
        return failed("its agent does not start");
    }
    if (*greeting != kAgentGreeting) {
        return failed("its agent is of another release; restart the service");
    }
    lastFailure_.clear();
    return {};
}

Result<std::string> AgentChild::exchange(std::string_view request) {
    const auto deadline = clock_.steadyNow() + limit_;
    // It may have died since the last request: once more with a new one.
    for (int tries = 0; tries < 2; ++tries) {
        if (auto started = start(); !started) {
            return started.error();
        }
        if (!sendFrame(line_.get(), request, clock_, deadline)) {
            giveUp();
            continue;
        }
        auto answer = receiveFrame(line_.get(), kMostAnswerBytes, clock_, deadline);
        if (!answer) {
            giveUp();
            return uncertainError("the agent of account " + account_.name + " gave no answer");
        }
        return std::move(*answer);
    }
    return transientError("the agent of account " + account_.name + " does not listen");
}

Error AgentChild::drop() {
    giveUp();
    return uncertainError("the agent of account " + account_.name +
                          " gave an answer that makes no sense");
}

}  // namespace gridbridge::folder
