#include "bridge/app/Registration.h"

#include <toml++/toml.h>

#include <algorithm>
#include <istream>
#include <ostream>
#include <sstream>

#include "bridge/app/Addition.h"
#include "bridge/app/ConfigFile.h"
#include "bridge/app/Contact.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/StateLock.h"
#include "bridge/app/Text.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge::app {

namespace {

using gitlab::TokenOutcome;
using gitlab::VerifyOutcome;

/// Ends a command with its sentence and exit code.
struct Refusal {
    int exitCode = kExitFailed;
    std::string sentence = {};
};

int refuse(const Refusal& refusal, const CommandWorld& world) {
    world.err << "gridbridge: " << printable(refusal.sentence) << '\n';
    return refusal.exitCode;
}

/// The configuration as it is before its first runner too; throws ConfigError for all else.
ConfigReading soundReading(const std::filesystem::path& file, const Host& host) {
    auto reading = readConfig(file, host);
    std::erase(reading.problems, noRunner(file));
    if (!reading.problems.empty()) {
        throw ConfigError(std::move(reading.problems));
    }
    return reading;
}

const RunnerConfig* runnerNamed(const Config& config, const std::string& name) {
    const auto found = std::find_if(config.runners.begin(), config.runners.end(),
                                    [&](const auto& runner) { return runner.name == name; });
    return found == config.runners.end() ? nullptr : &*found;
}

std::string backendNames(const Config& config) {
    std::string names;
    for (const auto& backend : config.backends) {
        names += (names.empty() ? "" : ", ") + backend.name;
    }
    return names;
}

/// Fills `backend` with the one to use, or says why there is none.
Refusal chooseBackend(const Config& config, const std::string& wanted, std::string& backend) {
    if (config.backends.empty()) {
        return {kExitConfiguration,
                config.file.string() + " has no backend; add a section [backends.NAME] first"};
    }
    if (wanted.empty() && config.backends.size() > 1) {
        return {kExitUsage,
                "there are several backends; name one with --backend: " + backendNames(config)};
    }
    if (!wanted.empty() && config.backend(wanted) == nullptr) {
        return {kExitUsage, "there is no section [backends." + wanted +
                                "]; name one of: " + backendNames(config)};
    }
    backend = wanted.empty() ? config.backends.front().name : wanted;
    return {};
}

Result<Secret> tokenIn(const std::string& file, std::istream& in) {
    std::string text;
    if (file == "-") {
        text.resize(kLargestToken + 1);
        in.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(in.gcount()));
    } else {
        auto content = readSmallFile(file, kLargestToken);
        if (!content) {
            return permanentError(file + " " + content.error().message);
        }
        text = std::move(content).value().text;
    }
    text.resize(text.find_last_not_of(" \t\r\n") + 1);
    return Secret(std::move(text));
}

/// One token is given, and it can be one; `nothing wrong` is an empty sentence.
Refusal readToken(const RegistrationRequest& request, const CommandWorld& world, Secret& token) {
    const bool legacy =
        !request.registrationToken.empty() || !request.registrationTokenFile.empty();
    if (request.describesRunner && !legacy) {
        return {kExitUsage,
                "what --token names was described in GitLab when it was created: change "
                "description, tags, limits and the like there"};
    }
    const auto& given = legacy ? request.registrationToken : request.token;
    const auto& file = legacy ? request.registrationTokenFile : request.tokenFile;
    auto read = file.empty() ? Result<Secret>(given) : tokenIn(file, world.in);
    if (!read) {
        return {kExitIo, read.error().message};
    }
    token = std::move(read).value();
    return isToken(token.reveal())
               ? Refusal{}
               : Refusal{kExitUsage,
                         "what was given as token is none; give the token and nothing else"};
}

/// What is wrong before anybody is asked; fills `runner`.
Refusal prepare(const ConfigReading& reading, const RegistrationRequest& request,
                RunnerConfig& runner) {
    runner.name = request.name;
    runner.url = serverUrl(request.url).value_or(request.url);
    runner.tls = request.tls;
    if (const auto unusable = http::faultIn(request.tls)) {
        return {kExitConfiguration, unusable->what + "; " + unusable->cure};
    }
    if (auto fault = chooseBackend(reading.config, request.backend, runner.backend);
        !fault.sentence.empty()) {
        return fault;
    }
    if (const auto* taken = runnerNamed(reading.config, request.name)) {
        return {kExitFailed, "a runner " + request.name + " stands in " +
                                 taken->tokenPlace.file.string() + " line " +
                                 std::to_string(taken->tokenPlace.line) +
                                 " already; choose another --name"};
    }
    const auto file = additionFile(reading.config.file, request.name);
    std::error_code ignored;
    if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
        return {kExitFailed, file.string() + " exists already; choose another --name or remove it"};
    }
    if (const auto* other = reading.config.runnerOf(runner.url, runner.token)) {
        return {kExitFailed, "the token is the one of the runner " + other->name + " in " +
                                 other->tokenPlace.file.string() + " line " +
                                 std::to_string(other->tokenPlace.line) +
                                 "; create another runner in GitLab and give its token"};
    }
    return {};
}

/// The section as it is written.
std::string sectionOf(const RunnerConfig& runner) {
    toml::table section{{"name", runner.name},
                        {"url", runner.url},
                        {"token", runner.token.reveal()},
                        {"backend", runner.backend}};
    const auto name = [&section](std::string_view key, const std::filesystem::path& file) {
        if (!file.empty()) {
            section.insert(key, std::filesystem::absolute(file).string());
        }
    };
    name("tls_ca_file", runner.tls.ca);
    name("tls_cert_file", runner.tls.cert);
    name("tls_key_file", runner.tls.key);
    const toml::table file{{"runners", toml::array{std::move(section)}}};
    std::ostringstream text;
    text << "# Written by gridbridge register; gridbridge unregister " << runner.name
         << " removes it.\n"
         << toml::toml_formatter(file, toml::toml_formatter::default_flags &
                                           ~toml::format_flags::allow_literal_strings)
         << '\n';
    return text.str();
}

Refusal temporary(const RunnerConfig& runner, const std::string& message) {
    return {kExitTemporary, withCure(runner.url + " cannot be asked: " + message,
                                     "see to the network and the server, then try again")};
}

/// `message` brings its cure.
Refusal misconfigured(const RunnerConfig& runner, const std::string& message) {
    return {kExitConfiguration, runner.url + " cannot be asked: " + message};
}

Refusal verified(const RunnerConfig& runner, const Config& config, const CommandWorld& world,
                 std::int64_t& id) {
    const auto answer = world.gitlab.verify(runner, Contact::read(config).systemId);
    switch (answer.outcome) {
        case VerifyOutcome::Valid:
            id = answer.runnerId;
            return {};
        case VerifyOutcome::Invalid:
            return {kExitFailed,
                    runner.url + " refuses the token: " + answer.message +
                        "; give the token that GitLab showed when the runner was created, or a "
                        "registration token with --registration-token"};
        case VerifyOutcome::NotGitLab:
            return {kExitFailed,
                    withCure(runner.url +
                                 " does not answer as GitLab, which says nothing of the token: " +
                                 answer.message,
                             "correct --url")};
        case VerifyOutcome::Misconfigured:
            return misconfigured(runner, answer.message);
        case VerifyOutcome::Unreachable:
            break;
    }
    return temporary(runner, answer.message);
}

/// Replaces the registration token by the one of the runner that GitLab makes for it.
Refusal created(RunnerConfig& runner, const gitlab::NewRunner& made, const CommandWorld& world,
                std::int64_t& id) {
    const auto answer = world.gitlab.registerRunner(runner, made);
    switch (answer.outcome) {
        case TokenOutcome::Done:
            id = answer.runnerId;
            runner.token = answer.token;
            return {};
        case TokenOutcome::Forbidden:
            return {kExitFailed, runner.url + " refuses the registration token: " + answer.message +
                                     "; copy it again from GitLab"};
        case TokenOutcome::NotFound:
        case TokenOutcome::Refused:
            return {kExitFailed,
                    withCure(runner.url + " makes no runner: " + answer.message,
                             "create the runner in GitLab and give its glrt- token with --token, "
                             "or correct what it complains of")};
        case TokenOutcome::Retry:
            return temporary(runner, answer.message);
        case TokenOutcome::Misconfigured:
            return misconfigured(runner, answer.message);
        case TokenOutcome::Uncertain:
            break;
    }
    return {kExitTemporary, runner.url +
                                " may have made a runner whose token is lost: " + answer.message +
                                "; remove it in GitLab if it is there, then try again"};
}

/// What keeps `unregister` from beginning.
Refusal unremovable(const ConfigReading& reading, const RunnerConfig& runner) {
    const auto file = additionFile(reading.config.file, runner.name);
    if (runner.tokenPlace.file != file) {
        return {kExitFailed,
                "the runner " + runner.name + " stands in " + runner.tokenPlace.file.string() +
                    " line " + std::to_string(runner.tokenPlace.line) +
                    ", which gridbridge does not change; move its section to " + file.string()};
    }
    const auto prefix = "runners." + runner.name + ".";
    for (const auto& [key, place] : reading.places) {
        if (place.file == file && !key.starts_with(prefix)) {
            return {kExitFailed, file.string() + " line " + std::to_string(place.line) +
                                     " holds more than this runner; move " + key +
                                     " to another file"};
        }
    }
    const auto& state = reading.config.stateDir;
    const auto holder = StateLock::holder(state);
    if (holder && *holder) {
        return {kExitFailed, "the service runs (pid " + std::to_string(**holder) +
                                 ") and claims for this runner; stop it first, its jobs go on"};
    }
    std::error_code ignored;
    if (!std::filesystem::exists(state / "gridbridge.db", ignored)) {
        return {};
    }
    const auto open = store::JobReader(state).jobs({});
    const auto ours = std::count_if(open.begin(), open.end(),
                                    [&](const auto& job) { return job.runner == runner.name; });
    return ours == 0 ? Refusal{}
                     : Refusal{kExitFailed, std::to_string(ours) + " open job" +
                                                (ours == 1 ? " needs" : "s need") + " the runner " +
                                                runner.name +
                                                "; pause it in GitLab and wait until gridbridge "
                                                "jobs shows none of them"};
}

/// Done and NotFound are both well: the manager is not there any more.
Refusal removedAtGitLab(const RunnerConfig& runner, const std::string& id,
                        const CommandWorld& world) {
    if (id.empty() && isAuthenticationToken(runner.token)) {
        return {};  // Never claimed: GitLab knows no manager of this installation.
    }
    const auto answer = world.gitlab.unregister(runner, id);
    switch (answer.outcome) {
        case TokenOutcome::Done:
        case TokenOutcome::NotFound:
            return {};
        case TokenOutcome::Forbidden:
            return {kExitFailed, runner.url + " refuses the token: " + answer.message +
                                     "; if the runner is gone there, remove " +
                                     runner.tokenPlace.file.string()};
        case TokenOutcome::Refused:
            return {kExitFailed,
                    withCure(runner.url + " does not remove the runner: " + answer.message,
                             "correct the url")};
        case TokenOutcome::Misconfigured:
            return misconfigured(runner, answer.message);
        case TokenOutcome::Retry:
        case TokenOutcome::Uncertain:
            break;
    }
    return temporary(runner, answer.message);
}

}  // namespace

int registerRunner(const std::filesystem::path& config, const RegistrationRequest& request,
                   const CommandWorld& world) {
    const auto reading = soundReading(config, world.host);
    RunnerConfig runner;
    if (const auto fault = readToken(request, world, runner.token); !fault.sentence.empty()) {
        return refuse(fault, world);
    }
    if (const auto fault = prepare(reading, request, runner); !fault.sentence.empty()) {
        return refuse(fault, world);
    }
    const auto file = additionFile(config, request.name);
    // Before GitLab makes a runner whose token could not be kept.
    auto addition = Addition::begin(file);
    if (!addition) {
        return refuse({kExitIo, addition.error().message}, world);
    }
    const bool legacy = request.token.empty() && request.tokenFile.empty();
    std::int64_t id = 0;
    const auto fault = legacy ? created(runner, request.made, world, id)
                              : verified(runner, reading.config, world, id);
    if (!fault.sentence.empty()) {
        return refuse(fault, world);
    }
    auto unfinished = std::move(addition).value();
    if (const auto written = unfinished.publish(sectionOf(runner)); !written) {
        // Nobody has its token now.
        const bool left =
            legacy && world.gitlab.unregister(runner, "").outcome != TokenOutcome::Done;
        return refuse(
            {kExitIo, written.error().message +
                          (left ? "; remove runner " + std::to_string(id) + " in GitLab" : "")},
            world);
    }
    world.out << "registered runner " << (id > 0 ? std::to_string(id) + " of " : "of ")
              << runner.url << " as " << runner.name << " in " << printable(file.string())
              << "; systemctl reload gridbridge has the service use it\n";
    return kExitWell;
}

int unregisterRunner(const std::filesystem::path& config, const std::string& name,
                     const CommandWorld& world) {
    const auto reading = soundReading(config, world.host);
    const auto* runner = runnerNamed(reading.config, name);
    if (runner == nullptr) {
        return refuse({kExitFailed, "there is no runner " + name + " in " + config.string()},
                      world);
    }
    if (const auto fault = unremovable(reading, *runner); !fault.sentence.empty()) {
        return refuse(fault, world);
    }
    const auto contact = Contact::read(reading.config);
    const auto fault = removedAtGitLab(contact.current(*runner), contact.systemId, world);
    if (!fault.sentence.empty()) {
        return refuse(fault, world);
    }
    const auto file = additionFile(config, name);
    if (const auto removed = removeAddition(file); !removed) {
        return refuse({kExitIo, removed.error().message}, world);
    }
    world.out << "removed "
              << (isAuthenticationToken(runner->token) ? "this manager of the runner "
                                                       : "the runner ")
              << name << " at " << runner->url << " and " << printable(file.string()) << '\n';
    return kExitWell;
}

}  // namespace gridbridge::app
