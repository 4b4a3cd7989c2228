#include "bridge/base/Process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "bridge/base/Fd.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// From the request to stop to the kill.
constexpr seconds kStopGrace{2};

std::string lastError() {
    return std::generic_category().message(errno);
}

struct Pipe {
    Fd readEnd;
    Fd writeEnd;
};

std::optional<Pipe> makePipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    Pipe pipe{Fd(ends[0]), Fd(ends[1])};
    // Only our end: the program's must block, as programs expect.
    if (::fcntl(pipe.readEnd.get(), F_SETFL, O_NONBLOCK) != 0) {
        return std::nullopt;
    }
    return pipe;
}

/// One output of the program: collected up to a limit, read to its end in any case.
struct Output {
    Fd from;
    std::string text;
    bool tooLong = false;

    void drain(std::size_t limit) {
        std::array<char, 65536> buffer{};
        while (from) {
            const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0 && errno == EAGAIN) {
                return;
            }
            if (got <= 0) {
                from.reset();
                return;
            }
            const auto room = limit - std::min(limit, text.size());
            const auto size = static_cast<std::size_t>(got);
            text.append(buffer.data(), std::min(room, size));
            tooLong = tooLong || size > room;
            if (tooLong) {
                return;
            }
        }
    }
};

/// One program from its start to its end.
class Run {
public:
    Run(Clock& clock, const CallContext& ctx, std::size_t maxOutput)
        : clock_(clock), ctx_(ctx), maxOutput_(maxOutput) {}

    Result<Finished> operator()(const Command& command) {
        name_ = command.argv.front();
        if (ctx_.stop.stop_requested() || clock_.steadyNow() >= ctx_.deadline) {
            return transientError(name_ + " was not started: no time is left for it");
        }
        if (auto started = start(command); !started) {
            return started.error();
        }
        watch();
        out_.drain(maxOutput_);
        err_.drain(maxOutput_);
        return finish();
    }

private:
    Result<void> start(const Command& command) {
        wake_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        auto out = makePipe();
        auto err = makePipe();
        if (!wake_ || !null || !out || !err) {
            return transientError("cannot start " + name_ + ": " + lastError());
        }
        const auto pid = spawn(command, {null.get(), out->writeEnd.get(), err->writeEnd.get()});
        if (!pid) {
            return pid.error();
        }
        pid_ = *pid;
        out_.from = std::move(out->readEnd);
        err_.from = std::move(err->readEnd);
        handle_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        if (!handle_) {
            cut_ = "it could not be watched: " + lastError();
        }
        return {};
    }

    void watch() {
        if (!handle_) {
            return;
        }
        const std::stop_callback onStop(ctx_.stop, [this] { ::eventfd_write(wake_.get(), 1); });
        while (!waitForEvent()) {
            out_.drain(maxOutput_);
            err_.drain(maxOutput_);
            enforceLimits();
        }
    }

    /// True once the program has ended.
    bool waitForEvent() {
        const bool stopping = cut_.has_value();
        // A descriptor below zero is skipped by poll: ended outputs, and the wish to stop once
        // it is being fulfilled.
        std::array<pollfd, 4> events{{{handle_.get(), POLLIN, 0},
                                      {stopping ? -1 : wake_.get(), POLLIN, 0},
                                      {out_.tooLong ? -1 : out_.from.get(), POLLIN, 0},
                                      {err_.tooLong ? -1 : err_.from.get(), POLLIN, 0}}};
        const auto until = stopping ? killAt_ : ctx_.deadline;
        const auto left = std::chrono::ceil<Millis>(until - clock_.steadyNow());
        const auto timeout = std::clamp(left, Millis{0}, Millis{1000});
        ::poll(events.data(), events.size(), static_cast<int>(timeout.count()));
        return events[0].revents != 0;
    }

    void enforceLimits() {
        const auto now = clock_.steadyNow();
        if (cut_) {
            if (now >= killAt_) {
                ::kill(-pid_, SIGKILL);
                killAt_ = now + kStopGrace;
            }
            return;
        }
        if (out_.tooLong || err_.tooLong) {
            cut_ = "it printed more than " + std::to_string(maxOutput_) + " bytes";
        } else if (ctx_.stop.stop_requested()) {
            cut_ = "the service stops";
        } else if (now >= ctx_.deadline) {
            cut_ = "it did not end in time";
        }
        if (cut_) {
            ::kill(-pid_, SIGTERM);
            killAt_ = now + kStopGrace;
        }
    }

    Result<Finished> finish() {
        // Before reaping: until then the group's number cannot belong to anybody else.
        ::kill(-pid_, SIGKILL);
        siginfo_t info{};
        while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
        }
        if (!cut_ && (out_.tooLong || err_.tooLong)) {
            cut_ = "it printed more than " + std::to_string(maxOutput_) + " bytes";
        }
        if (cut_) {
            return uncertainError(name_ + " was stopped: " + *cut_);
        }
        Finished result;
        (info.si_code == CLD_EXITED ? result.exitCode : result.signal) = info.si_status;
        result.out = std::move(out_.text);
        result.err = std::move(err_.text);
        return result;
    }

    Clock& clock_;
    const CallContext& ctx_;
    std::size_t maxOutput_;
    std::string name_;
    pid_t pid_ = 0;
    Fd handle_;
    Fd wake_;
    Output out_;
    Output err_;
    std::optional<std::string> cut_;  ///< Why the program is being stopped.
    SteadyTime killAt_{};
};

}  // namespace

Result<Finished> PosixProcessRunner::run(const Command& command, const CallContext& ctx,
                                         std::size_t maxOutput) {
    return Run(clock_, ctx, maxOutput)(command);
}

}  // namespace gridbridge
