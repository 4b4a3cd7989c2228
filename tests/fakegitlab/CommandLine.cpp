#include "tests/fakegitlab/CommandLine.h"

#include <CLI/CLI.hpp>

namespace gridbridge::fakegitlab {

std::unique_ptr<CLI::App> commandInto(Arguments& a) {
    auto app = std::make_unique<CLI::App>(
        "A stand-in GitLab that serves a folder of job files and judges how they ended.",
        "fakegitlab");
    app->footer(
        "Example:\n  fakegitlab --folder demo --port-file /tmp/url --until-done\n"
        "serves demo/*.toml and the projects in demo/repositories, writes its address to\n"
        "/tmp/url, ends when every job has ended and exits 1 if one did not end as its\n"
        "[expect] says, a client broke the protocol or a fault asked for never struck.");
    app->add_option("--folder", a.folder, "job files *.toml and repositories/GROUP/PROJECT/")
        ->required();
    app->add_option("--repositories", a.repositories,
                    "GROUP/PROJECT/ folders (default: repositories in the folder)");
    app->add_option("--port", a.port, "port on 127.0.0.1 (default: the system chooses)");
    app->add_option("--port-file", a.portFile, "file that gets the server's URL");
    app->add_option("--runner-token", a.runnerToken, "token of the one runner")
        ->capture_default_str();
    app->add_option("--tag", a.tags, "tag of the runner; it also takes untagged jobs");
    app->add_flag("--until-done", a.untilDone, "exit when all jobs have ended");
    app->add_option("--grace", a.grace, "... and nobody called about a job for these seconds")
        ->capture_default_str();
    app->add_option("--results", a.results, "file that gets the results as JSON");
    app->add_option("--traces", a.traces, "folder that gets one <job name>.log per job");
    app->add_option("--seed", a.seed, "seed of the faults")->capture_default_str();
    app->add_option("--fault", a.faults, "KIND=RATE, e.g. patch-answer-lost=0.1 or 503=0.05");
    app->add_option("--long-poll", a.longPoll, "seconds that jobs/request may be held; 0 = not")
        ->capture_default_str();
    app->add_option("--live-trace", a.liveTrace, "seconds of 202 answers before a final report");
    app->add_flag("--direct-download", a.directDownload, "302 for artifact downloads");
    app->add_option("--reap-after", a.reapAfter, "seconds without update until a job is dropped")
        ->capture_default_str();
    app->add_option("--update-interval", a.updateInterval, "X-GitLab-Trace-Update-Interval")
        ->capture_default_str();
    app->add_option("--allow-repeats", a.repeats,
                    "calls about an ended job that are no violation, for kill -9 tests")
        ->capture_default_str();
    return app;
}

}  // namespace gridbridge::fakegitlab
