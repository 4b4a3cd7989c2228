#include <CLI/CLI.hpp>

#include <algorithm>
#include <ostream>

#include "bridge/app/Agent.h"
#include "bridge/app/Commands.h"
#include "bridge/app/ExitCode.h"
#include "bridge/app/Manual.h"
#include "bridge/app/Registration.h"
#include "bridge/app/Text.h"

namespace gridbridge::app {

namespace {

/// What the command line says; the options of all commands bind to one of these.
struct Options {
    std::string config = "/etc/gridbridge/config.toml";
    std::string job;
    std::string state;
    std::string backend;
    bool all = false;
    bool json = false;
    bool follow = false;
    std::string runner;
    std::string folder;
    std::string token;
    std::string registrationToken;
    RegistrationRequest registration;
};

using Command = std::function<int(const CommandWorld&)>;

std::string stateNames(const std::string& separator) {
    std::string names;
    for (const auto state :
         {store::State::Received, store::State::Claimed, store::State::Submitting,
          store::State::Queued, store::State::Running, store::State::Collecting,
          store::State::Reporting, store::State::Done}) {
        names += (names.empty() ? "" : separator) + std::string(nameOf(state));
    }
    return names;
}

std::string stateFault(const std::string& text) {
    return store::stateNamed(text)
               ? ""
               : "there is no state " + text + "; write one of " + stateNames(", ");
}

std::string jobFault(const std::string& text) {
    return parseJobName(text) ? ""
                              : text +
                                    " names no job; write the id that GitLab shows, like 4711, "
                                    "or RUNNER/4711, or its key";
}

std::string nameFault(const std::string& text) {
    return isName(text) ? "" : text + " is no name; use letters, digits, '.', '_' and '-' only";
}

std::string urlFault(const std::string& text) {
    return serverUrl(text) ? ""
                           : "it is not the address of a server; write it like "
                             "https://gitlab.example.org";
}

/// The commands on one line each, and which one the arguments chose.
class CommandLine {
public:
    CommandLine() : app_("GitLab CI jobs on batch systems.", "gridbridge") {
        app_.require_subcommand(1);
        app_.set_version_flag("--version", "gridbridge " GRIDBRIDGE_VERSION,
                              "Print the version and exit");
        app_.footer("Example:\n  gridbridge jobs --all");
        addAgent();
        addJobs();
        addShow();
        addLog();
        addRegister();
        addUnregister();
        addCancel();
        addDrain("drain", "Claims nothing for a runner, or for any; open jobs go on.",
                 store::RequestKind::Drain);
        addDrain("resume", "Claims again for a runner, or for all.", store::RequestKind::Resume);
        add("check", "Checks configuration, state folder, tokens and backends.",
            "gridbridge check --config /etc/gridbridge/config.toml",
            [this](const CommandWorld& world) {
                return checkInstallation(options_.config, world);
            });
        add("run", "Runs the service in the foreground until SIGTERM.",
            "gridbridge run --config /etc/gridbridge/config.toml",
            [this](const CommandWorld& world) { return runService(options_.config, world); });
    }

    std::vector<CommandHelp> help() {
        std::vector<CommandHelp> commands;
        for (const CLI::App* sub : app_.get_subcommands({})) {
            commands.push_back(helpOf(*sub));
        }
        return commands;
    }

    int run(std::vector<std::string> arguments, const CommandWorld& world) {
        if (const auto fault = commandFault(arguments); !fault.empty()) {
            world.err << "gridbridge: " << printable(fault) << '\n';
            return kExitUsage;
        }
        std::reverse(arguments.begin(), arguments.end());
        try {
            app_.parse(std::move(arguments));
        } catch (const CLI::CallForHelp&) {
            const auto chosen = app_.get_subcommands();
            world.out << (chosen.empty() ? app_.help() : chosen.front()->help("gridbridge"));
            return kExitWell;
        } catch (const CLI::CallForVersion& version) {
            world.out << version.what() << '\n';
            return kExitWell;
        } catch (const CLI::ParseError& fault) {
            world.err << "gridbridge: " << printable(fault.what()) << "; see gridbridge --help\n";
            return kExitUsage;
        }
        return command_(world);
    }

private:
    /// CLI11 itself only says that some command is missing.
    std::string commandFault(const std::vector<std::string>& arguments) {
        if (arguments.empty() || arguments.front().starts_with('-')) {
            return "";
        }
        std::vector<std::string_view> known;
        for (const CLI::App* command : app_.get_subcommands({})) {
            known.emplace_back(command->get_name());
        }
        const std::string& name = arguments.front();
        if (std::find(known.begin(), known.end(), name) != known.end()) {
            return "";
        }
        const auto near = nearest(name, known);
        return "there is no command " + name + "; " +
               (near.empty() ? "see gridbridge --help" : "did you mean " + std::string(near) + "?");
    }

    CLI::App* add(const std::string& name, const std::string& what, const std::string& example,
                  Command command) {
        CLI::App* sub = app_.add_subcommand(name, what);
        sub->add_option("--config", options_.config, "The configuration")->capture_default_str();
        sub->footer("Example:\n  " + example);
        sub->callback([this, run = std::move(command)] { command_ = run; });
        return sub;
    }

    void addAgent() {
        CLI::App* agent = app_.add_subcommand(
            "agent", "Serves the files of one account's jobs; the service starts it itself.");
        agent->footer("Example:\n  gridbridge agent /srv/gridbridge/ci");
        agent->add_option("FOLDER", options_.folder, "Holds one folder per submission")->required();
        agent->callback([this] {
            command_ = [this](const CommandWorld& world) {
                return runAgent(options_.folder, world.err);
            };
        });
    }

    void addJobs() {
        CLI::App* jobs = add("jobs", "Lists open jobs, whether the service runs or not.",
                             "gridbridge jobs --state running --backend here",
                             [this](const CommandWorld& world) {
                                 const auto state = store::stateNamed(options_.state);
                                 const bool all = options_.all || state == store::State::Done;
                                 const store::JobFilter filter{all, state, options_.backend};
                                 return listJobs(options_.config, {filter, options_.json}, world);
                             });
        jobs->add_flag("--all", options_.all, "Ended jobs too");
        jobs->add_option("--state", options_.state, "Only jobs in this state")
            ->check(stateFault, "{" + stateNames(",") + "}");
        jobs->add_option("--backend", options_.backend, "Only jobs of this backend");
        jobs->add_flag("--json", options_.json, "For programs");
    }

    void addShow() {
        CLI::App* show = add(
            "show", "Shows everything known of one job.",
            "gridbridge show 4711\n  gridbridge show pool/4711", [this](const CommandWorld& world) {
                return showJob(options_.config, *parseJobName(options_.job), options_.json, world);
            });
        addJob(*show);
        show->add_flag("--json", options_.json, "For programs");
    }

    void addLog() {
        CLI::App* log = add("log", "Prints the log of one job as GitLab has it.",
                            "gridbridge log 4711 --follow", [this](const CommandWorld& world) {
                                return printLog(options_.config, *parseJobName(options_.job),
                                                options_.follow, world);
                            });
        addJob(*log);
        log->add_flag("--follow", options_.follow, "Go on until the job is done");
    }

    void addCancel() {
        addJob(*add("cancel", "Stops one job; in GitLab it fails.", "gridbridge cancel 4711",
                    [this](const CommandWorld& world) {
                        return cancelJob(options_.config, *parseJobName(options_.job), world);
                    }));
    }

    void addDrain(const std::string& name, const std::string& what, store::RequestKind kind) {
        add(name, what, "gridbridge " + name + " pool", [this, kind](const CommandWorld& world) {
            return drainRunner(options_.config, options_.runner, kind, world);
        })->add_option("RUNNER", options_.runner, "Its name in the configuration; all without");
    }

    void addRegister() {
        auto& wanted = options_.registration;
        CLI::App* command =
            add("register", "Adds a runner of GitLab: writes config.d/NAME.toml.",
                "gridbridge register --name pool --url https://gitlab.example.org --backend here "
                "--token-file -",
                [this](const CommandWorld& world) {
                    auto& request = options_.registration;
                    request.token = Secret(options_.token);
                    request.registrationToken = Secret(options_.registrationToken);
                    return registerRunner(options_.config, request, world);
                });
        command->add_option("--name", wanted.name, "Your name for the runner")
            ->required()
            ->check(nameFault, "NAME");
        command->add_option("--url", wanted.url, "Address of the GitLab server")
            ->required()
            ->check(urlFault, "URL");
        command->add_option("--backend", wanted.backend, "Section [backends.NAME] for its jobs");
        command->add_option("--tls-ca-file", wanted.tls.ca,
                            "PEM file for the server's certificate");
        auto* cert = command->add_option("--tls-cert-file", wanted.tls.cert,
                                         "PEM file with a certificate of this client");
        auto* key =
            command->add_option("--tls-key-file", wanted.tls.key, "PEM file with the key to it");
        cert->needs(key);
        key->needs(cert);
        auto* token = command->add_option_group("Token", "One of these, - is standard input");
        token->add_option("--token", options_.token,
                          "The runner's glrt- token; others see it in ps");
        token->add_option("--token-file", wanted.tokenFile, "File with that token");
        token->add_option("--registration-token", options_.registrationToken,
                          "Has GitLab make the runner, as before GitLab 16");
        token->add_option("--registration-token-file", wanted.registrationTokenFile,
                          "File with that token");
        token->require_option(1);
        addNewRunner(*command);
    }

    void addNewRunner(CLI::App& command) {
        auto& made = options_.registration.made;
        auto* group = command.add_option_group("Runner", "Only with a registration token");
        group->add_option("--description", made.description, "What GitLab's pages show");
        group->add_option("--maintenance-note", made.maintenanceNote,
                          "For GitLab's administrators");
        group->add_option("--tag-list", made.tags, "Tags of the jobs it takes, with commas")
            ->delimiter(',');
        group->add_flag("!--no-run-untagged", made.runUntagged, "Takes only jobs with tags");
        group->add_flag("--locked", made.locked, "For its project only");
        group->add_flag("--paused", made.paused, "Takes no jobs yet");
        group->add_option("--access-level", made.accessLevel, "Which refs its jobs may be of")
            ->check(CLI::IsMember({"not_protected", "ref_protected"}));
        group->add_option_function<std::int64_t>(
            "--maximum-timeout",
            [&made](const std::int64_t& seconds) {
                made.maximumTimeout = std::chrono::seconds(seconds);
            },
            "Longest timeout of its jobs in seconds, at least 600");
        group->final_callback(
            [this, group] { options_.registration.describesRunner = group->count_all() > 0; });
    }

    void addUnregister() {
        CLI::App* command =
            add("unregister", "Removes a runner: at GitLab, and its file config.d/NAME.toml.",
                "gridbridge unregister pool", [this](const CommandWorld& world) {
                    return unregisterRunner(options_.config, options_.runner, world);
                });
        command->add_option("NAME", options_.runner, "The runner's name in the configuration")
            ->required()
            ->check(nameFault, "");
    }

    void addJob(CLI::App& command) {
        command.add_option("JOB", options_.job, "GitLab's job id, or RUNNER/ID, or the job's key")
            ->required()
            ->check(jobFault, "");
    }

    CLI::App app_;
    Options options_;
    Command command_;
};

}  // namespace

std::vector<CommandHelp> commandHelp() {
    return CommandLine().help();
}

int runCommandLine(const std::vector<std::string>& arguments, const CommandWorld& world) {
    try {
        const int code = CommandLine().run(arguments, world);
        if (!world.out.flush()) {
            world.err << "gridbridge: the output could not be written\n";
            return kExitIo;
        }
        return code;
    } catch (const ConfigError& error) {
        for (const ConfigProblem& problem : error.problems) {
            world.err << "gridbridge: " << problem.sentence() << '\n';
        }
        return kExitConfiguration;
    } catch (const store::StoreError& error) {
        world.err << "gridbridge: " << printable(error.what()) << '\n';
        return exitCodeOf(error.kind);
    } catch (const std::exception& error) {
        world.err << "gridbridge: " << printable(error.what()) << '\n';
        return kExitFailed;
    }
}

}  // namespace gridbridge::app
