#include <csignal>
#include <iostream>
#include <malloc.h>
#include <vector>

#include "bridge/app/Commands.h"
#include "bridge/app/Daemon.h"

namespace {

/// Threads inherit the mask, so it is set before there are any: only who asks for these signals
/// gets them.
sigset_t blockSignals() {
    sigset_t stopSignals;
    sigemptyset(&stopSignals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&stopSignals, signal);
    }
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &stopSignals, &before);
    return before;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace gridbridge;
    // A payload of megabytes goes back to the system once it is done with: by default glibc keeps
    // such memory for the next one, in every thread.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    // But not the small change of each thread: taking it back after every call costs a fifth of a
    // claim's CPU time.
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
    ::mallopt(M_TOP_PAD, 1 << 18);
    const sigset_t before = blockSignals();
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const bool service = !arguments.empty() && arguments.front() == "run";
    if (service) {
        std::signal(SIGPIPE, SIG_IGN);
    } else {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    SystemClock clock;
    app::HttpGitLabAccess gitlab(clock);
    const app::CommandWorld world{std::cout,       std::cerr, std::cin,          clock,
                                  app::thisHost(), gitlab,    app::probeBackend, app::runDaemon};
    return app::runCommandLine(arguments, world);
}
