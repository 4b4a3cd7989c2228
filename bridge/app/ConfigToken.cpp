#include "bridge/app/ConfigToken.h"

#include <algorithm>
#include <sys/stat.h>

#include "bridge/base/SmallFile.h"
#include "bridge/gitlab/Dump.h"

namespace gridbridge::app {

namespace {

using std::filesystem::path;

constexpr std::size_t kLargestRunnerFile = std::size_t{64} << 10U;

/// The one key of the three that is given; reports none and several.
std::string keyOf(ConfigSection& section) {
    std::string given;
    for (const std::string key : {"token", "token_file", "runner_file"}) {
        if (section.has(key) && !given.empty()) {
            section.report(key, given + " and " + key + " are both given", "keep one of them");
            return {};
        }
        given = section.has(key) ? key : given;
    }
    if (given.empty()) {
        section.report("token", "is missing",
                       "write the runner's glrt- token, or name a file with it in token_file or "
                       "runner_file");
    }
    return given;
}

/// The file that `key` names, if only those who may can read it.
std::optional<std::string> closedFile(ConfigSection& section, const std::string& key,
                                      const path& file, std::size_t limit,
                                      const std::string& cure) {
    const auto content = readSmallFile(file, limit);
    if (!content) {
        section.report(key, file.string() + " " + content.error().message, cure);
        return std::nullopt;
    }
    if ((content->mode & S_IROTH) != 0) {
        section.report(key, file.string() + " can be read by every account",
                       "run chmod 600 " + file.string());
        return std::nullopt;
    }
    return content->text;
}

std::optional<gitlab::RunnerDump> runnerIn(ConfigSection& section, const path& file) {
    const std::string key = "runner_file";
    const std::string cure = "register the runner again with register-runner, or name another file";
    const auto text = closedFile(section, key, file, kLargestRunnerFile, cure);
    if (!text) {
        return std::nullopt;
    }
    auto runner = gitlab::readRunnerDump(*text);
    if (!runner) {
        section.report(key, file.string() + ": " + runner.error().message, cure);
        return std::nullopt;
    }
    return std::move(runner).value();
}

void takeUrl(ConfigSection& section, RunnerConfig& runner) {
    const auto text = section.requiredText("url", "write the address of the GitLab server");
    if (!text) {
        return;
    }
    if (const auto url = serverUrl(*text)) {
        runner.url = *url;
    } else {
        section.report("url", "is not the address of a server",
                       "write it like https://gitlab.example.org");
    }
}

/// A runner's file names its server, so that `url` may be left out.
void takeRunner(ConfigSection& section, RunnerConfig& runner, const gitlab::RunnerDump& dump) {
    const auto url = serverUrl(dump.apiUrl);
    if (!url) {
        section.report("runner_file", "the file names no address of a server",
                       "register the runner again with register-runner");
        return;
    }
    if (section.has("url") && runner.url != *url) {
        section.report("url", "the runner in runner_file is one of " + *url,
                       "remove this key, or name another file");
    }
    runner.url = *url;
}

}  // namespace

bool isToken(const std::string& text) {
    return !text.empty() && text.size() <= kLargestToken &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

void takeServerAndToken(ConfigSection& section, RunnerConfig& runner) {
    if (!section.has("runner_file") || section.has("url")) {
        takeUrl(section, runner);
    }
    const auto key = keyOf(section);
    if (key.empty()) {
        return;
    }
    runner.tokenKey = section.keyPath(key);
    runner.tokenPlace = section.placeOf(key);
    runner.tokenFile = runner.tokenPlace.file;
    std::optional<std::string> text;
    if (key == "token") {
        text = section.text(key);
    } else if (const auto file = section.absolutePath(key)) {
        runner.tokenFile = *file;
        if (key == "runner_file") {
            if (const auto dump = runnerIn(section, *file)) {
                takeRunner(section, runner, *dump);
                text = dump->token.reveal();
            }
        } else {
            text = closedFile(section, key, *file, kLargestToken,
                              "write the runner's token into it, or name another file");
            text =
                text ? std::optional(text->substr(0, text->find_last_not_of(" \t\r\n") + 1)) : text;
        }
    }
    if (text && !isToken(*text)) {
        section.report(key, "is not a token", "write the runner's token and nothing else");
    } else if (text) {
        runner.token = Secret(std::move(*text));
    }
}

}  // namespace gridbridge::app
