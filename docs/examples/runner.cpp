// A GitLab runner: runs the jobs that wait for it, one by one, with bash in the current folder.
#include "bridge/gitlab/Runner.h"

#include <cstdlib>
#include <fstream>
#include <future>
#include <iostream>
#include <sys/stat.h>

using namespace gridbridge::gitlab;

int main(int argc, char** argv) try {
    ::umask(077);  // The files hold the jobs' secrets.
    auto runner = Runner::load(argc == 2 ? argv[1] : "runner.json");
    while (auto job = runner.requestJob()) {
        job->dump("job.json");  // After a crash Job::load() goes on with it.
        std::ofstream script("job.sh");
        for (const auto& variable : job->variables()) {
            script << variable.bash() << '\n';
        }
        for (const auto& line : job->script()) {
            script << line << std::endl;
        }
        const auto limit = std::to_string(job->description().timeout.count());
        const auto command = "timeout " + limit + " bash -e job.sh >>job.log 2>&1 </dev/null";
        std::fstream output("job.log", std::ios::in | std::ios::out | std::ios::trunc);
        auto end = std::async(std::launch::async, [&] { return std::system(command.c_str()); });
        for (bool over = false; !over; job->auth()) {  // A sign of life; sends what waits.
            over = end.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
            job->log() += std::string(std::istreambuf_iterator<char>(output), {});
        }
        const int status = end.get(), code = WEXITSTATUS(status);
        status == 0   ? job->setSuccess()
        : code == 124 ? job->setFailed(FailureReason::JobExecutionTimeout)
                      : job->setFailed(FailureReason::ScriptFailure, code);
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
