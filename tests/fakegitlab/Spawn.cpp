#include "tests/fakegitlab/Spawn.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/base/Fd.h"

namespace gridbridge::fakegitlab {

namespace {

struct Pipe {
    Fd read;
    Fd write;
};

Pipe newPipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("no pipe");
    }
    return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (auto& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

pid_t start(std::vector<std::string> argv, const std::map<std::string, std::string>& environment,
            const Pipe& in, const Pipe& out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    // Poco blocks SIGPIPE in this process; git must not inherit that.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<std::string> lines = {"PATH=/usr/local/bin:/usr/bin:/bin"};
    for (const auto& [key, value] : environment) {
        lines.push_back(key + "=" + value);
    }
    const auto arguments = pointers(argv);
    const auto variables = pointers(lines);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(),
                                     variables.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        throw std::runtime_error("cannot start " + argv[0]);
    }
    return pid;
}

/// Writes and reads at the same time, so that neither side can block the other.
std::string exchange(Fd to, const Fd& from, const std::string& input) {
    ::fcntl(to.get(), F_SETFL, O_NONBLOCK);
    std::string output;
    std::size_t written = 0;
    std::array<char, 65536> buffer{};
    for (;;) {
        if (to && written == input.size()) {
            to.reset();
        }
        std::array<pollfd, 2> ready = {pollfd{from.get(), POLLIN, 0}, pollfd{to.get(), POLLOUT, 0}};
        if (::poll(ready.data(), to ? 2 : 1, -1) < 0 && errno != EINTR) {
            return output;
        }
        if (to && ready[1].revents != 0) {
            const auto sent = ::write(to.get(), input.data() + written, input.size() - written);
            if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                to.reset();
            }
            written += sent > 0 ? static_cast<std::size_t>(sent) : 0;
        }
        if (ready[0].revents != 0) {
            const auto got = ::read(from.get(), buffer.data(), buffer.size());
            if (got == 0 || (got < 0 && errno != EINTR)) {
                return output;
            }
            output.append(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        }
    }
}

}  // namespace

SpawnResult spawn(const std::vector<std::string>& argv,
                  const std::map<std::string, std::string>& environment, const std::string& input) {
    auto in = newPipe();
    auto out = newPipe();
    const auto pid = start(argv, environment, in, out);
    in.read.reset();
    out.write.reset();
    SpawnResult result;
    result.output = exchange(std::move(in.write), out.read, input);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.exitCode = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
}

}  // namespace gridbridge::fakegitlab
