#pragma once

#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/app/StateLock.h"
#include "bridge/base/Fd.h"

namespace gridbridge::testing {

/// Runs a function in another process, which then lives until the end of this object: a lock is
/// nothing that a process could test on itself.
class OtherProcess {
public:
    explicit OtherProcess(const std::function<pid_t()>& function) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            throw std::runtime_error("no pipe");
        }
        const Fd in(ends[0]);
        Fd out(ends[1]);
        pid_ = ::fork();
        if (pid_ == 0) {
            const pid_t value = function();
            const bool told = ::write(out.get(), &value, sizeof(value)) == sizeof(value);
            while (told) {
                ::pause();
            }
            ::_exit(1);
        }
        out.reset();
        if (::read(in.get(), &result_, sizeof(result_)) != sizeof(result_)) {
            throw std::runtime_error("the other process did not answer");
        }
    }
    ~OtherProcess() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;

    pid_t pid() const { return pid_; }
    pid_t result() const { return result_; }

private:
    pid_t pid_ = 0;
    pid_t result_ = 0;
};

/// Another process that holds the lock of the state folder.
class LockedElsewhere : public OtherProcess {
public:
    explicit LockedElsewhere(const std::filesystem::path& stateDir)
        : OtherProcess([&stateDir] {
              static std::optional<app::StateLock> lock;
              if (auto taken = app::StateLock::take(stateDir); taken.ok()) {
                  lock.emplace(std::move(taken).value());
                  return ::getpid();
              }
              return 0;
          }) {
        if (result() == 0) {
            throw std::runtime_error("the lock could not be taken");
        }
    }
};

/// Who holds the lock, as another process sees it; 0 = nobody.
inline pid_t holderSeenElsewhere(const std::filesystem::path& stateDir) {
    return OtherProcess([&stateDir] {
               const auto holder = app::StateLock::holder(stateDir);
               return holder.ok() ? holder->value_or(0) : -1;
           })
        .result();
}

}  // namespace gridbridge::testing
