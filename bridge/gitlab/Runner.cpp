#include "bridge/gitlab/Runner.h"

#include <Poco/DigestEngine.h>
#include <Poco/HMACEngine.h>
#include <Poco/SHA1Engine.h>

#include <array>
#include <fstream>
#include <unistd.h>

#include "bridge/gitlab/Crc32.h"
#include "bridge/gitlab/JsonFields.h"

namespace gridbridge::gitlab {

namespace {

using std::chrono::seconds;

/// One manager per machine, the same after every restart (protocol 1.6). The Python package sends
/// none, so that GitLab takes all its machines for one.
std::string systemId() {
    constexpr std::size_t kLength = 12;
    std::string machine;
    std::ifstream("/etc/machine-id") >> machine;
    if (machine.empty()) {
        std::array<char, 256> host{};
        ::gethostname(host.data(), host.size() - 1);
        machine = host.data();
    }
    Poco::HMACEngine<Poco::SHA1Engine> digest(machine);
    digest.update(std::string("gridbridge library"));
    return "s_" + Poco::DigestEngine::digestToHex(digest.digest()).substr(0, kLength);
}

std::optional<bool> flagIn(const JsonFields& fields, const std::string& key) {
    return fields.filled(key) ? std::optional(fields.flag(key, false)) : std::nullopt;
}

std::vector<std::string> split(const std::string& tags) {
    std::vector<std::string> result;
    for (std::size_t at = 0; at < tags.size();) {
        const auto end = std::min(tags.find(',', at), tags.size());
        result.push_back(tags.substr(at, end - at));
        at = end + 1;
    }
    return result;
}

RunnerSettings settingsOf(const RunnerDump& dump) {
    try {
        const auto all = JsonFields::parse(dump.data);
        const auto info = all.object("info");
        RunnerSettings settings{.description = all.text("description"),
                                .locked = flagIn(all, "locked"),
                                .runUntagged = flagIn(all, "run_untagged"),
                                .tags = split(all.text("tag_list")),
                                .accessLevel = all.text("access_level"),
                                .name = info.text("name"),
                                .version = info.text("version"),
                                .revision = info.text("revision"),
                                .platform = info.text("platform"),
                                .architecture = info.text("architecture"),
                                .executor = info.text("executor")};
        if (all.filled("maximum_timeout")) {
            settings.maximumTimeout = seconds(all.number("maximum_timeout", 0));
        }
        return settings;
    } catch (const UnreadableField& field) {
        throw RunnerError(std::string("this runner's file cannot be understood: ") + field.what());
    }
}

}  // namespace

Runner::Runner(std::shared_ptr<Client> client, RunnerDump dump, RunnerSettings settings)
    : client_(std::move(client)), dump_(std::move(dump)), settings_(std::move(settings)) {}

Runner Runner::load(const std::filesystem::path& file, ClientOptions options) {
    const auto text = readDumpFile(file);
    try {
        return loads(text, std::move(options));
    } catch (const Misconfigured&) {
        throw;
    } catch (const RunnerError& error) {
        throw RunnerError(file.string() + ": " + error.what());
    }
}

Runner Runner::loads(const Secret& text, ClientOptions options) {
    auto dump = readRunnerDump(text.reveal());
    if (!dump) {
        throw RunnerError(dump.error().message);
    }
    auto settings = settingsOf(*dump);
    auto client = std::make_shared<Client>(dump->apiUrl, std::move(options));
    return {std::move(client), std::move(dump).value(), std::move(settings)};
}

void Runner::dump(const std::filesystem::path& file) const {
    writeDumpFile(file, dumps());
}

void Runner::checkAuth() {
    verify();
}

VerifyAnswer Runner::verify() {
    auto answer = client_->api().verify(client_->call(), identity());
    switch (answer.outcome) {
        case VerifyOutcome::Valid:
            return answer;
        case VerifyOutcome::Invalid:
            throw AuthError("GitLab does not know the token of this runner: " + answer.message);
        case VerifyOutcome::NotGitLab:
            throw RunnerError(answer.message);
        case VerifyOutcome::Unreachable:
            throw Unreachable(answer.message);
        case VerifyOutcome::Misconfigured:
            throw Misconfigured(answer.message);
    }
    return answer;
}

std::optional<Job> Runner::requestJob() {
    auto answer = client_->api().requestJob(client_->call(), identity(), lastUpdate_);
    switch (answer.outcome) {
        case ClaimOutcome::Job:
            break;
        case ClaimOutcome::NoJob:
            lastUpdate_ = answer.lastUpdate.empty() ? lastUpdate_ : answer.lastUpdate;
            return std::nullopt;
        case ClaimOutcome::Conflict:
            return std::nullopt;
        case ClaimOutcome::Forbidden:
            throw AuthError("GitLab does not know the token of this runner: " + answer.message);
        case ClaimOutcome::Retry:
            throw Unreachable(answer.message);
        case ClaimOutcome::Refused:
            throw RunnerError(answer.message);
    }
    refuseUnreadable(answer.body);
    try {
        return Job::claimed(client_, token(), dumps(), greeting(), Secret(std::move(answer.body)));
    } catch (const JobCancelled&) {
        return std::nullopt;  // Taken back before anybody had seen it.
    } catch (const AlreadyFinished&) {
        return std::nullopt;
    }
}

void Runner::refuseUnreadable(const std::string& body) {
    const auto job = decodeJob(body);
    if (job) {
        return;
    }
    if (auto known = identityOf(body)) {
        JobLink link(client_, {.id = known->id, .token = std::move(known->token)});
        const auto line = greeting() + "ERROR: " + job.error().message + "\n";
        link.keepAlive();
        link.append(0, line);
        link.finish({.success = false,
                     .failureReason = "runner_system_failure",
                     .traceEnd = TraceEnd{.crc32 = crc32(0, line),
                                          .bytes = static_cast<std::int64_t>(line.size())}});
    }
    throw RunnerError(job.error().message);
}

RunnerIdentity Runner::identity() const {
    RunnerIdentity identity{.token = token(),
                            .systemId = systemId(),
                            .features = client_->options().features,
                            .executor = executor()};
    const auto say = [&identity](const char* key, const std::string& value) {
        if (!value.empty()) {
            identity.info[key] = value;
        }
    };
    say("name", name());
    say("version", version());
    say("revision", revision());
    say("platform", platform());
    say("architecture", architecture());
    return identity;
}

std::string Runner::greeting() const {
    const bool own = !name().empty();
    const auto who = own ? name() : std::string("gridbridge");
    const auto which = own ? version() : std::string(GRIDBRIDGE_VERSION);
    return "Running with " + who + (which.empty() ? "" : " ") + which + "\n";
}

}  // namespace gridbridge::gitlab
