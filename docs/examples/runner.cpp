// A GitLab runner: runs the scripts of as many jobs as asked for with bash in the current folder.
#include "bridge/gitlab/Runner.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace gridbridge::gitlab;

void run(Job job) {
    const auto name = "job-" + std::to_string(job.id());
    job.dump(name + ".json");  // After a crash Job::load() goes on with it.
    std::ofstream script(name + ".sh");
    for (const auto& variable : job.variables()) {
        script << variable.bash() << '\n';
    }
    for (const auto& line : job.script()) {
        script << line << '\n';
    }
    script.close();
    const auto limit = std::to_string(job.description().timeout.count());
    const auto command = "timeout " + limit + " bash -e " + name + ".sh 2>&1 </dev/null";
    FILE* bash = ::popen(command.c_str(), "r");
    pollfd output{::fileno(bash), POLLIN, 0};
    std::array<char, 4096> text{};
    for (ssize_t size = 1; size > 0;) {
        if (::poll(&output, 1, 30'000) == 0) {
            job.auth();  // A sign of life of a silent script; sends what waits of the log.
        } else if (size = ::read(output.fd, text.data(), text.size()); size > 0) {
            job.log() += std::string_view(text.data(), static_cast<std::size_t>(size));
        }
    }
    const int status = ::pclose(bash);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    code == 0     ? job.setSuccess()
    : code == 124 ? job.setFailed(FailureReason::JobExecutionTimeout)
                  : job.setFailed(FailureReason::ScriptFailure, code);
}

int main(int argc, char** argv) try {
    if (argc != 3) {
        throw std::runtime_error("usage: runner RUNNER.json NUMBER-OF-JOBS");
    }
    ::umask(077);  // The scripts hold the jobs' secrets.
    auto runner = Runner::load(argv[1]);
    for (int left = std::stoi(argv[2]); left > 0; ::sleep(1)) {
        if (auto job = runner.requestJob()) {
            run(std::move(*job));
            --left;
        }
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
