#include "tests/unit/payload/ScriptRun.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/base/Fd.h"

namespace gridbridge::payload {

namespace {

std::string slurp(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
}

void replaceAll(std::string& text, const std::string& what, const std::string& with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
        text.replace(at, what.size(), with);
        at += with.size();
    }
}

}  // namespace

gitlab::JobDescription jobWith(std::vector<std::string> script,
                               std::vector<std::string> afterScript) {
    gitlab::JobDescription job;
    job.id = 77;
    job.token = Secret("glcbt-64_token-of-the-job");
    job.projectPath = "group/project";
    job.timeout = std::chrono::hours(1);
    job.steps.push_back({"script", std::move(script)});
    if (!afterScript.empty()) {
        job.steps.push_back({"after_script", std::move(afterScript)});
    }
    job.traceSections = true;
    setVariable(job, "GIT_STRATEGY", "none");
    return job;
}

void setVariable(gitlab::JobDescription& job, const std::string& key, const std::string& value) {
    job.variables.push_back({.key = key, .value = value});
}

gitlab::ArtifactEntry archiveOf(std::vector<std::string> paths) {
    gitlab::ArtifactEntry entry;
    entry.paths = std::move(paths);
    return entry;
}

ScriptContext contextNow() {
    ScriptContext context;
    context.runnerShortToken = "abcdefghi";
    context.serverUrl = "https://gitlab.example.org";
    context.bridgeHost = "bridge.example.org";
    context.version = "1.2.3";
    context.nonce = "nonce-1";
    context.deadline = SystemClock().wallNow() + std::chrono::hours(1);
    return context;
}

ScriptRun::ScriptRun(const gitlab::JobDescription& job, const ScriptContext& context)
    : nonce_(context.nonce) {
    std::string pattern = std::filesystem::temp_directory_path() / "payload test's.XXXXXX";
    const std::filesystem::path top = mkdtemp(pattern.data());
    folder_ = top / "gb-abc-1-1";
    std::filesystem::create_directories(folder_ / "in");
    std::filesystem::create_directories(folder_ / "out");
    std::filesystem::create_directories(scratch());
    auto made = makeScript(job, context);
    if (!made) {
        ADD_FAILURE() << made.error().message;
        return;
    }
    script_ = std::move(made).value();
    for (const auto& input : script_.inputs) {
        spill(folder_ / "in" / input.name, input.content);
    }
    auto loader = script_.loader;
    replaceAll(loader, "@FOLDER@", folder_.string());
    spill(top / "loader", loader);
    environment_ = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                    {"HOME", "/nonexistent"},
                    {"TMPDIR", scratch().string()}};
}

ScriptRun::~ScriptRun() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_.parent_path(), ignored);
}

void ScriptRun::shorten(const std::string& constant, int value) {
    auto text = file("in/job.sh");
    const auto at = text.find("\n" + constant + "=");
    ASSERT_NE(at, std::string::npos) << constant;
    const auto begin = at + constant.size() + 2;
    text.replace(begin, text.find_first_of(" \n", begin) - begin, std::to_string(value));
    spill(folder_ / "in/job.sh", text);
}

void ScriptRun::setEnvironment(const std::string& name, const std::string& value) {
    environment_[name] = value;
}

int ScriptRun::run() {
    const auto loader = (folder_.parent_path() / "loader").string();
    std::vector<std::string> words = {"bash", loader};
    std::vector<char*> argv;
    for (auto& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment_) {
        variables.push_back(name + "=" + value);
    }
    std::vector<char*> envp;
    for (auto& variable : variables) {
        envp.push_back(variable.data());
    }
    envp.push_back(nullptr);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t pid = 0;
    const int failed =
        posix_spawn(&pid, "/bin/bash", nullptr, &attributes, argv.data(), envp.data());
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) {
        ADD_FAILURE() << "bash cannot be started";
        return -1;
    }
    return ended(pid);
}

int ScriptRun::ended(pid_t pid) {
    constexpr int kPatience = 60'000;  // milliseconds
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd end{process.get(), POLLIN, 0};
    if (::poll(&end, 1, kPatience) != 1) {
        ADD_FAILURE() << "the script does not end; its log:\n" << log();
        ::kill(-pid, SIGKILL);
    }
    int state = 0;
    waitpid(pid, &state, 0);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
}

std::string ScriptRun::file(const std::string& relative) const {
    return slurp(folder_ / relative);
}

std::string ScriptRun::text() const {
    auto text = log();
    for (auto at = text.find("section_"); at != std::string::npos; at = text.find("section_", at)) {
        text.erase(at, text.find('\r', at) + 1 - at);
    }
    const std::string column = "\033[0;m \n";
    for (auto at = text.find(column); at != std::string::npos; at = text.find(column, at)) {
        const auto end = text.find_last_not_of(' ', at - 1) + 1;
        text.replace(end, at + column.size() - end, "\n");
        at = end;
    }
    for (auto at = text.find('\033'); at != std::string::npos; at = text.find('\033', at)) {
        text.erase(at, text.find_first_of("mK", at) + 1 - at);
    }
    return text;
}

Status ScriptRun::status() const {
    const auto status = parseStatus(file("out/status"), nonce_);
    if (!status) {
        ADD_FAILURE() << status.error().message << "\n" << file("out/status") << "\n" << log();
        return {};
    }
    return *status;
}

}  // namespace gridbridge::payload
