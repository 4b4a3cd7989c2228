#include "tests/engines/Engine.h"

#include <algorithm>
#include <stdexcept>

#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

Engine::Engine(std::string name, std::string script)
    : name_(std::move(name)),
      script_(std::move(script)),
      temp_(std::make_unique<TempDir>()),
      folder_(temp_->path() / "engine") {}

Engine::~Engine() = default;

Finished Engine::run(const std::string& shellCommand, int seconds) {
    auto all = environment();
    all.push_back("PATH=" + programs() + "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    all.emplace_back("HOME=/");
    const auto result =
        runner_.run({.argv = {"/bin/bash", "-c", shellCommand}, .environment = std::move(all)},
                    {clock_.steadyNow() + std::chrono::seconds(seconds)}, std::size_t{1} << 20);
    if (!result) {
        throw std::runtime_error(shellCommand + ": " + result.error().message);
    }
    return *result;
}

int Engine::runScript(const std::string& verb, std::string& said) {
    const auto result = run(script_ + " " + verb + " " + folder_.string(), 120);
    said = result.err;
    return result.exitCode.value_or(1);
}

int Engine::start(std::string& why) {
    return runScript("up", why);
}

void Engine::stop() {
    std::string said;
    runScript("down", said);
}

void Engine::repair() {
    std::string said;
    if (runScript("up", said) != 0) {
        throw std::runtime_error(said);
    }
}

std::string ServiceEngine::listOf(std::vector<std::string> texts,
                                  const std::vector<std::string>& more) {
    texts.insert(texts.end(), more.begin(), more.end());
    std::string list;
    for (const auto& text : texts) {
        list += (list.empty() ? "[\"" : ", \"") + text + "\"";
    }
    return list + "]";
}

int ServiceEngine::linesOf(const std::string& shellCommand) {
    const auto said = run(shellCommand);
    return said.exitCode == 0 ? static_cast<int>(std::count(said.out.begin(), said.out.end(), '\n'))
                              : -1;
}

void Engine::killByPidFile(const std::string& daemon, const std::string& signal) {
    const auto file = (folder_ / "run" / daemon).string() + ".pid";
    if (run("kill -" + signal + " $(cat " + file + ")").exitCode != 0) {
        throw std::runtime_error(daemon + " does not run");
    }
}

}  // namespace gridbridge::testing
