// A program of other people: tests its own runner against the stand-in GitLab.
#include <iostream>

#include "bridge/gitlab/Runner.h"
#include "tests/fakegitlab/FakeGitLab.h"

int main() {
    using namespace gridbridge;
    SystemClock clock;
    fakegitlab::FakeGitLab server(clock);
    server.addRunner("glrt-consumer");
    const auto id = server.addJob({.script = {"true"}});
    auto runner = gitlab::Runner::registerWith(server.url(), Secret("glrt-consumer"));
    auto job = runner.requestJob();
    job->log() += "from outside\n";
    job->setSuccess();
    const auto seen = server.job(id);
    std::cout << nameOf(seen.status) << ' ' << seen.trace;
    return seen.status == fakegitlab::Status::Success && server.violations().empty() ? 0 : 1;
}
