#include <algorithm>
#include <ostream>

#include "bridge/app/Backends.h"
#include "bridge/app/Commands.h"
#include "bridge/app/Contact.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/Leftovers.h"
#include "bridge/app/OpenJobs.h"
#include "bridge/app/StateFolder.h"
#include "bridge/app/StateLock.h"
#include "bridge/app/Text.h"

namespace gridbridge::app {

namespace {

/// Prints one line per thing and remembers the exit code.
class CheckList {
public:
    explicit CheckList(std::ostream& out) : out_(out) {}

    void well(const std::string& what) { out_ << "ok    " << printable(what) << '\n'; }
    void fail(const std::string& what) { fail(what, kExitFailed); }
    /// What a person has to change in the configuration, or to suit it.
    void misconfigured(const std::string& what) { fail(what, kExitConfiguration); }
    int exitCode() const { return exitCode_; }

private:
    void fail(const std::string& what, int exitCode) {
        out_ << "FAIL  " << printable(what) << '\n';
        exitCode_ = std::max(exitCode_, exitCode);
    }

    std::ostream& out_;
    int exitCode_ = kExitWell;
};

/// The place of a key that a check found wrong, in the shape of a configuration problem.
ConfigProblem problemAt(const ConfigReading& reading, const std::string& key, std::string what,
                        std::string cure) {
    const auto found = reading.places.find(key);
    const Place place = found == reading.places.end() ? Place{reading.config.file} : found->second;
    return {place, key, std::move(what), std::move(cure)};
}

/// What lies in the database; before the first start there is none.
Contact checkDatabase(const ConfigReading& reading, CheckList& list) {
    const auto& folder = reading.config.stateDir;
    std::error_code error;
    if (!std::filesystem::exists(folder / "gridbridge.db", error)) {
        return {};
    }
    try {
        store::JobReader reader(folder);
        for (const ConfigProblem& problem : openJobProblems(reading.config, reader.jobs({}))) {
            list.misconfigured(problem.sentence());
        }
        for (const store::JobRecord& job : reader.proveKey()) {
            list.fail("job " + std::to_string(job.gitlabId.value_or(0)) + " (" +
                      store::jobKey(reader.installation(), job.row) +
                      "): its sealed description does not open, for its row was changed; restore "
                      "gridbridge.db from a backup, or the service gives the job up");
        }
        for (const auto& left : leftovers(reading.config, reader)) {
            list.fail("no open job owns the folder " + left.string() + "; end the batch job " +
                      left.filename().string() + " if it is still there, then remove the folder");
        }
        return Contact::read(reading.config);
    } catch (const store::StoreError& fault) {
        exitCodeOf(fault.kind) == kExitConfiguration ? list.misconfigured(fault.what())
                                                     : list.fail(fault.what());
    }
    return {};
}

Contact checkState(const ConfigReading& reading, CheckList& list) {
    const auto& folder = reading.config.stateDir;
    if (const auto fault = stateFolderFault(folder)) {
        const auto sentence = problemAt(reading, "state_dir", fault->what, fault->cure).sentence();
        fault->passes ? list.fail(sentence) : list.misconfigured(sentence);
        return {};
    }
    list.well("state folder " + folder.string());
    const auto free = freeSpace(folder);
    if (free && *free < reading.config.minFreeSpace) {
        list.fail(problemAt(reading, "min_free_space",
                            "only " + std::to_string(*free >> 20U) +
                                " MiB are free on the disk of " + folder.string() + ", and below " +
                                std::to_string(reading.config.minFreeSpace >> 20U) +
                                " MiB nothing is claimed",
                            "make room there, or keep less free")
                      .sentence());
    }
    const auto holder = StateLock::holder(folder);
    if (!holder) {
        list.fail(
            problemAt(reading, "state_dir", holder.error().message, "make it readable").sentence());
    } else if (*holder) {
        list.well("state lock: held by the running service, pid=" + std::to_string(**holder));
    } else {
        list.well("state lock: free, no service runs");
    }
    auto contact = checkDatabase(reading, list);
    if (holder && !*holder) {
        contact.ill.clear();  // A start finds out anew.
    }
    return contact;
}

/// GitLab knows the token of `runner`; `how` it was asked.
void listKnown(const RunnerConfig& runner, const Contact& contact, const std::string& how,
               CheckList& list) {
    if (const auto ill = contact.ill.find(runner.name); ill != contact.ill.end()) {
        list.fail("runner " + runner.name + " " + ill->second +
                  "; its token is known now, reload the service to have it claim at once");
        return;
    }
    list.well("runner " + runner.name + ": " + runner.url + " knows its token" + how +
              (contact.drained.count(runner.name) > 0
                   ? "; it claims nothing until gridbridge resume " + runner.name
                   : ""));
}

void checkRunner(const ConfigReading& reading, const RunnerConfig& runner, const Contact& contact,
                 const CommandWorld& world, CheckList& list) {
    const auto answer = world.gitlab.verify(contact.current(runner), contact.systemId);
    const auto proxy = world.gitlab.proxyTo(runner);
    const auto through = proxy.empty() ? "" : " through the proxy " + proxy;
    const auto at = [&](const std::string& what) {
        return problemAt(reading, "runners." + runner.name + ".url", what, "").sentence();
    };
    switch (answer.outcome) {
        case gitlab::VerifyOutcome::Valid:
            listKnown(runner, contact, proxy.empty() ? "" : ", asked" + through, list);
            return;
        case gitlab::VerifyOutcome::Invalid:
            list.fail((contact.unanswered.contains(runner.name)
                           ? renewalLost(runner, answer.message)
                           : tokenRefused(runner, answer.message))
                          .sentence());
            return;
        case gitlab::VerifyOutcome::NotGitLab:
            list.fail(at(withCure(
                runner.url + " does not answer as GitLab" + through + ": " + answer.message,
                "correct the address")));
            return;
        case gitlab::VerifyOutcome::Misconfigured:
            list.misconfigured(
                at(runner.url + " cannot be asked" + through + ": " + answer.message));
            return;
        case gitlab::VerifyOutcome::Unreachable:
            list.fail(at(withCure(runner.url + " cannot be asked" + through + ": " + answer.message,
                                  "see to the address, the network and the server")));
            return;
    }
}

ConfigProblem problemOf(const ConfigReading& reading, const BackendConfig& backend,
                        const BackendFault& fault) {
    return problemAt(reading,
                     "backends." + backend.name + "." + (fault.key.empty() ? "type" : fault.key),
                     fault.what, fault.cure);
}

void checkBackend(const ConfigReading& reading, const BackendConfig& backend,
                  const CommandWorld& world, CheckList& list) {
    const auto health = world.probeBackend(reading.config, backend);
    if (health.fault) {
        const auto sentence = problemOf(reading, backend, *health.fault).sentence();
        health.fault->key.empty() ? list.fail(sentence) : list.misconfigured(sentence);
    } else {
        for (const auto& account : health.accounts) {
            list.well("account " + account);
        }
        list.well("backend " + backend.name +
                  (backendType(backend.type).runsScripts
                       ? ": takes jobs"
                       : ": simulated, takes jobs and runs nothing of them"));
    }
}

/// What `check` would say too, as far as the service cannot start with it.
std::vector<ConfigProblem> unusable(const ConfigReading& reading, const CommandWorld& world) {
    std::vector<ConfigProblem> problems = reading.problems;
    if (!problems.empty()) {
        return problems;
    }
    const auto state = stateFolderFault(reading.config.stateDir);
    if (state && !state->passes) {
        problems.push_back(problemAt(reading, "state_dir", state->what, state->cure));
    }
    for (const BackendConfig& backend : reading.config.backends) {
        const auto fault = world.probeBackend(reading.config, backend).fault;
        if (fault && !fault->key.empty()) {
            problems.push_back(problemOf(reading, backend, *fault));
        }
    }
    return problems;
}

}  // namespace

int checkInstallation(const std::filesystem::path& config, const CommandWorld& world) {
    CheckList list(world.out);
    const ConfigReading reading = readConfig(config, world.host);
    for (const ConfigProblem& problem : reading.problems) {
        list.misconfigured(problem.sentence());
    }
    if (!reading.problems.empty()) {
        return list.exitCode();
    }
    list.well("configuration " + config.string() +
              ": runners=" + std::to_string(reading.config.runners.size()) +
              " backends=" + std::to_string(reading.config.backends.size()));
    const auto contact = checkState(reading, list);
    for (const RunnerConfig& runner : reading.config.runners) {
        checkRunner(reading, runner, contact, world, list);
    }
    for (const BackendConfig& backend : reading.config.backends) {
        checkBackend(reading, backend, world, list);
    }
    return list.exitCode();
}

int runService(const std::filesystem::path& file, const CommandWorld& world) {
    const ConfigReading reading = readConfig(file, world.host);
    if (auto problems = unusable(reading, world); !problems.empty()) {
        throw ConfigError(std::move(problems));
    }
    const auto lock = StateLock::take(reading.config.stateDir);
    if (!lock) {
        world.err << "gridbridge: " << printable(lock.error().message) << '\n';
        return lock.error().kind == ErrorKind::Transient ? kExitTemporary : kExitIo;
    }
    return world.runService(reading.config, [&] {
        ConfigReading again = readConfig(file, world.host);
        if (auto problems = unusable(again, world); !problems.empty()) {
            throw ConfigError(std::move(problems));
        }
        return std::move(again.config);
    });
}

}  // namespace gridbridge::app
