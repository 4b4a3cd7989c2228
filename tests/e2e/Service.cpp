#include "tests/e2e/Service.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <signal.h>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/base/Fd.h"

extern char** environ;

namespace gridbridge::testing {

using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::JobSpec;

namespace {

constexpr auto kExecutable = GRIDBRIDGE_EXECUTABLE;

pid_t spawn(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
            int output, int errors) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (const auto& variable : environment) {
        envp.push_back(const_cast<char*>(variable.c_str()));
    }
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, 1);
    ::posix_spawn_file_actions_adddup2(&actions, errors, 2);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = 0;
    const int error =
        ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        throw std::runtime_error("cannot start " + arguments.front());
    }
    return pid;
}

int statusOf(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> inherited(const std::map<std::string, std::string>& more) {
    std::vector<std::string> result;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        result.emplace_back(*variable);
    }
    for (const auto& [name, value] : more) {
        result.push_back(name + "=" + value);
    }
    return result;
}

std::string output(const std::vector<std::string>& arguments, int* exitCode) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("no pipe");
    }
    const Fd in(ends[0]);
    Fd out(ends[1]);
    const pid_t pid = spawn(arguments, inherited({}), out.get(), out.get());
    out.reset();
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = ::read(in.get(), part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<std::size_t>(got));
    }
    const int code = statusOf(pid);
    if (exitCode != nullptr) {
        *exitCode = code;
    }
    return text;
}

}  // namespace

TempFolder::TempFolder()
    : path([] {
          std::string pattern =
              (std::filesystem::temp_directory_path() / "gridbridge-e2e-XXXXXX").string();
          if (::mkdtemp(pattern.data()) == nullptr) {
              throw std::runtime_error("cannot make a folder " + pattern);
          }
          std::filesystem::permissions(pattern, std::filesystem::perms::owner_all |
                                                    std::filesystem::perms::group_exec |
                                                    std::filesystem::perms::others_exec);
          return std::filesystem::path(pattern);
      }()) {}

TempFolder::~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

void writeFile(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out << text;
}

std::string plain(const std::string& trace) {
    std::string text;
    for (std::size_t at = 0; at < trace.size();) {
        if (trace.compare(at, 13, "section_start") == 0 ||
            trace.compare(at, 11, "section_end") == 0) {
            // A marker that was cut ends with its line.
            at = std::min(trace.find_first_of("\r\n", at), trace.size());
            if (at < trace.size() && trace[at] == '\r') {
                ++at;
            }
        } else if (trace[at] == '\033') {
            while (at < trace.size() && trace[at] != 'm' && trace[at] != 'K') {
                ++at;
            }
            ++at;
        } else {
            text += trace[at++];
        }
    }
    return text;
}

bool says(const JobSnapshot& job, const std::string& text) {
    return plain(job.trace).find(text) != std::string::npos;
}

std::string lastLine(const JobSnapshot& job) {
    auto text = plain(job.trace);
    if (!text.empty()) {
        text.pop_back();
    }
    return text.substr(text.rfind('\n') + 1);
}

std::string finalReport(const JobSnapshot& job) {
    std::string body;
    for (const auto& request : job.requests) {
        const bool running = request.body.find(R"("state":"running")") != std::string::npos;
        if (request.method == "PUT" && !running) {
            body = request.body;
        }
    }
    return body;
}

std::vector<std::string> sections(const std::string& trace) {
    std::vector<std::string> found;
    for (auto at = trace.find("section_"); at != std::string::npos;
         at = trace.find("section_", at + 1)) {
        const auto marker = trace.substr(at, trace.find('\r', at) - at);
        const auto name = marker.substr(marker.rfind(':') + 1);
        found.push_back((marker.starts_with("section_start") ? "+" : "-") + name);
    }
    return found;
}

bool runs(const std::string& pid) {
    const auto stat = readFile("/proc/" + pid.substr(0, pid.find('\n')) + "/stat");
    const auto name = stat.rfind(") ");
    return name != std::string::npos && stat[name + 2] != 'Z';
}

Service::Service(std::string gitlabUrl, std::filesystem::path folder)
    : gitlabUrl_(std::move(gitlabUrl)), folder_(std::move(folder)), words_{kExecutable} {
    std::filesystem::create_directories(stateDir());
    std::filesystem::permissions(stateDir(), std::filesystem::perms::owner_all);
    std::filesystem::create_directories(workDir());
    write("", usualBackend(*this, folder_));
}

Service::~Service() {
    if (running()) {
        killHard();
    }
}

void Service::configure(const std::string& runnerLines, const std::string& backendLines) {
    write(runnerLines, "type = \"local\"\nslots = 4\n" + backendLines);
}

void Service::write(const std::string& runnerLines, const std::string& backendLines) const {
    writeFile(config(), "check_interval = 1\nstate_dir = \"" + stateDir().string() +
                            "\"\nlog_level = \"debug\"\n[[runners]]\nname = \"pool\"\nurl = \"" +
                            gitlabUrl_ +
                            "\"\ntoken = \"glrt-test\"\nbackend = \"here\"\nlimit = 100\n" +
                            runnerLines + "[backends.here]\nwork_dir = \"" + workDir().string() +
                            "\"\npoll_interval = 1\n" + backendLines);
    std::filesystem::permissions(
        config(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

void Service::start(const std::map<std::string, std::string>& environment) {
    const Fd log(
        ::open((folder_ / "service.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    auto words = words_;
    words.insert(words.end(), {"run", "--config", config().string()});
    pid_ = spawn(words, inherited(environment), log.get(), log.get());
}

void Service::launchWith(std::vector<std::string> words, std::filesystem::path executable) {
    words.push_back(executable.string());
    words_ = std::move(words);
}

int Service::wait() {
    return statusOf(std::exchange(pid_, 0));
}

void Service::reload() const {
    ::kill(pid_, SIGHUP);
}

int Service::stop() {
    ::kill(pid_, SIGTERM);
    return wait();
}

void Service::killHard() {
    ::kill(pid_, SIGKILL);
    wait();
}

std::string Service::command(const std::vector<std::string>& arguments, int* exitCode) const {
    auto all = words_;
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.insert(all.end(), {"--config", config().string()});
    return output(all, exitCode);
}

std::string Service::sql(const std::string& query) const {
    return output({"sqlite3", "-readonly", (stateDir() / "gridbridge.db").string(), query},
                  nullptr);
}

std::string Service::log() const {
    return readFile(folder_ / "service.log");
}

EndToEnd::EndToEnd() = default;

fakegitlab::Options EndToEnd::options() {
    fakegitlab::Options result;
    result.repositories = folder.path / "repositories";
    result.traceUpdateInterval = std::chrono::seconds(1);
    return result;
}

void EndToEnd::start() {
    if (!gitlab) {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
    }
    if (!service) {
        service.emplace(gitlab->url(), folder.path);
    }
    if (!service->running()) {
        service->start();
    }
}

void EndToEnd::TearDown() {
    if (service && service->running()) {
        EXPECT_EQ(service->stop(), 0);
    }
    if (gitlab) {
        const auto violations = gitlab->violations();
        EXPECT_TRUE(violations.empty() || !strict) << ::testing::PrintToString(violations);
    }
    if (HasFailure() && service) {
        std::cout << "--- service log\n" << service->log();
        for (const auto id : gitlab->jobs()) {
            std::cout << "--- trace of " << id << "\n" << gitlab->job(id).trace << "\n";
        }
    }
}

void EndToEnd::repository(const std::map<std::string, std::string>& files) {
    if (!gitlab) {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
    }
    for (const auto& [name, text] : files) {
        writeFile(folder.path / "source" / name, text);
    }
    gitlab->commit("physics/detector", folder.path / "source");
}

JobSnapshot EndToEnd::run(JobSpec spec) {
    start();
    if (std::none_of(spec.variables.begin(), spec.variables.end(),
                     [](const auto& v) { return v.key == "GIT_STRATEGY"; })) {
        spec.variables.push_back({.key = "GIT_STRATEGY", .value = "none"});
    }
    return finished(gitlab->addJob(std::move(spec)));
}

JobSnapshot EndToEnd::finished(JobId id) {
    EXPECT_TRUE(gitlab->waitUntil([&] { return isEnded(gitlab->status(id)); }))
        << "job " << id << " did not end";
    EXPECT_TRUE(waitFor(
        [&] {
            return service->sql("SELECT state FROM job WHERE gitlab_id = " + std::to_string(id)) ==
                   "done\n";
        },
        "the service to be done with job " + std::to_string(id)));
    return gitlab->job(id);
}

::testing::AssertionResult EndToEnd::waitFor(const std::function<bool()>& condition,
                                             const std::string& what) const {
    return gitlab->waitUntil(condition)
               ? ::testing::AssertionSuccess()
               : ::testing::AssertionFailure() << "waited in vain for " << what;
}

}  // namespace gridbridge::testing
