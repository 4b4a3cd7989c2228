#include "bridge/app/RegisterRunner.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <unistd.h>

#include "bridge/app/Config.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/GitLabAccess.h"
#include "bridge/app/Manual.h"
#include "bridge/app/Text.h"
#include "bridge/gitlab/Runner.h"
#include "bridge/http/BaseUrl.h"

namespace gridbridge::app {

namespace {

constexpr auto kSeeHelp = "; see register-runner --help";

struct Request {
    std::string url;
    std::string token;
    std::string output;
    gitlab::RunnerSettings settings;
};

/// What makes a runner useless that GitLab would make now: that its file cannot be written.
std::string fileFault(const std::filesystem::path& file) {
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    if (std::filesystem::is_directory(file)) {
        return file.string() + " is a folder; name another file";
    }
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
        return file.string() + " cannot be written: " + std::strerror(errno) +
               "; name another file";
    }
    return "";
}

int fail(std::ostream& err, int exitCode, const std::string& sentence) {
    err << "ERROR:gitlab_runner_api:" << printable(sentence) << '\n';
    return exitCode;
}

int exitCodeOf(const gitlab::RunnerError& error) {
    if (dynamic_cast<const gitlab::Unreachable*>(&error) != nullptr) {
        return kExitTemporary;
    }
    return dynamic_cast<const gitlab::Misconfigured*>(&error) != nullptr ? kExitConfiguration
                                                                         : kExitFailed;
}

/// Where the library's sentence has no cure, what to do about it.
std::string cured(const std::string& sentence, const gitlab::RunnerError& error) {
    if (dynamic_cast<const gitlab::AuthError*>(&error) != nullptr) {
        return withCure(sentence, "copy the token again from GitLab");
    }
    return withCure(sentence, dynamic_cast<const gitlab::Unreachable*>(&error) != nullptr
                                  ? "see to the address, the network and the server, then try again"
                                  : "correct what it complains of, or the address");
}

int registerNow(const Request& request, std::ostream& err) {
    const auto host = http::parseBaseUrl(request.url).authority;
    const auto told = [&](const std::string& what) {
        err << "INFO:gitlab_runner_api:" << host << ": " << what << '\n';
    };
    const auto failed = host + ": Failed to register runner: ";
    std::optional<gitlab::Runner> runner;
    try {
        runner = gitlab::Runner::registerWith(request.url, Secret(request.token), request.settings);
    } catch (const gitlab::RunnerError& error) {
        return fail(err, exitCodeOf(error), cured(failed + error.what(), error));
    }
    const auto id = std::to_string(runner->id());
    told("Successfully registered runner " + id);
    try {
        runner->dump(request.output);
    } catch (const gitlab::FileError& error) {
        // A glrt- token is the user's: nothing was made for it.
        const bool made = !isAuthenticationToken(Secret(request.token));
        return fail(err, kExitIo,
                    error.what() + (made ? "; delete runner " + id + " in GitLab and register again"
                                         : std::string("; name another file")));
    }
    try {
        runner->checkAuth();
    } catch (const gitlab::RunnerError& error) {
        return fail(err, exitCodeOf(error),
                    cured(host + ": Failed to authenticate runner " + id + ", which is in " +
                              request.output + ": " + error.what(),
                          error));
    }
    told("Successfully initialised runner " + id);
    return kExitWell;
}

void describe(CLI::App& app, Request& request) {
    app.footer(
        "Example:\n  register-runner https://gitlab.example.org glrt-... my-runner-data.json");
    app.add_option("api_url", request.url, "Address of the GitLab server")->required();
    app.add_option("token", request.token,
                   "A registration token, or the glrt- token of a runner; others see it in ps")
        ->required();
    app.add_option("output_fn", request.output, "The file; its name ends in .json")->required();
    // As in the package, the file says `locked` in any case.
    app.add_flag_callback(
        "--locked", [&request] { request.settings.locked = true; },
        "Lock the runner to the current project");
    request.settings.locked = false;
    app.add_option_function<std::int64_t>(
        "--maximum-timeout",
        [&request](const std::int64_t& seconds) {
            request.settings.maximumTimeout = std::chrono::seconds(seconds);
        },
        "Longest timeout of its jobs (in seconds)");
}

/// The command, whose arguments go into `request`.
std::unique_ptr<CLI::App> commandInto(Request& request) {
    auto app = std::make_unique<CLI::App>("Registers a runner and writes it into a file.",
                                          "register-runner");
    describe(*app, request);
    return app;
}

/// Says nothing of what may be a token in the wrong place.
std::string unexpected(const std::vector<std::string>& arguments) {
    for (const auto& argument : arguments) {
        if (argument.starts_with("--")) {
            return argument.substr(0, argument.find('=')) + " is not known";
        }
    }
    return "there is an argument too many";
}

}  // namespace

CommandHelp registerRunnerHelp() {
    Request request;
    return helpOf(*commandInto(request));
}

int registerForFile(const std::vector<std::string>& arguments, std::ostream& out,
                    std::ostream& err) {
    const auto usage = [&err](const std::string& what) {
        err << "register-runner: error: " << printable(what) << '\n';
        return kExitUsage;
    };
    Request request;
    const auto app = commandInto(request);
    try {
        app->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForHelp&) {
        out << app->help();
        return kExitWell;
    } catch (const CLI::ExtrasError&) {
        return usage(unexpected(app->remaining()) + kSeeHelp);
    } catch (const CLI::ConversionError&) {
        return usage(std::string("--maximum-timeout is no number of seconds") + kSeeHelp);
    } catch (const CLI::ParseError& fault) {
        return usage(fault.what() + std::string(kSeeHelp));
    }
    if (!request.output.ends_with(".json")) {
        return usage("Requested output filename must end in .json");
    }
    if (!serverUrl(request.url)) {
        return usage(
            "api_url is not the address of a server; write it like "
            "https://gitlab.example.org");
    }
    if (!isToken(request.token)) {
        return usage("what was given as token is none; give the token and nothing else");
    }
    if (const auto fault = fileFault(request.output); !fault.empty()) {
        return fail(err, kExitIo, fault);
    }
    return registerNow(request, err);
}

}  // namespace gridbridge::app
