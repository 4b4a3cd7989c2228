"""The parts that diracx.sh starts, and what it asks of them. DIR is the folder that it made."""
import argparse
import json
import sys
import threading
from pathlib import Path

from engine import FAULTS, Engine, utcnow


def executor_options(parser):
    parser.add_argument("--slots", type=int, default=4, help="jobs that run at a time; 0 = none is taken")
    parser.add_argument("--poll", type=float, default=0.3, help="seconds between looks at DiracX")
    parser.add_argument("--heartbeat", type=float, default=1.5, help="seconds; below 1.1 SQLite refuses some")
    parser.add_argument("--site", default="LCG.Engine.org")
    parser.add_argument("--tags", type=lambda text: text.split(","), default=["MultiProcessor", "Engine"])
    parser.add_argument("--processors", type=int, default=8)
    parser.add_argument("--max-cpu-time", type=int, default=500000)
    parser.add_argument("--hide", type=lambda text: text.split(":"), default=[], metavar="PATH[:PATH]",
                        help="folders that payloads see empty: proves that nothing is shared (root only)")
    parser.add_argument("--run-as", metavar="ACCOUNT", help="account of the payloads (root only)")


def token_options(parser):
    parser.add_argument("--user", default="bridge", help="bridge or other")
    parser.add_argument("--group", default="user")
    parser.add_argument("--minutes", type=float, default=1440,
                        help="life of the refresh token of the legacy exchange, which is not rotated")
    parser.add_argument("--rotating", action="store_true", help="the refresh token as a login gives it")
    parser.add_argument("--access-seconds", type=float, metavar="SECONDS",
                        help="the access token ends so soon (negative: it has ended), whatever the file says")
    parser.add_argument("--file", type=Path, help="credential file; DIR/credentials.json when nothing is said")


def fault_options(parser):
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "\n".join(f"{kind:14} {text}" for kind, text in FAULTS.items())
    parser.add_argument("kind", choices=[*FAULTS, "list", "fired", "clear"])
    parser.add_argument("--job", type=int, help="of this JobID only")
    parser.add_argument("--name", help="shell pattern of JobName; for api and s3 of 'METHOD PATH'")
    parser.add_argument("--count", type=int, default=1, help="so many times")
    parser.add_argument("--after", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--text", default="")


def arguments():
    parser = argparse.ArgumentParser(prog="diracx.sh", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, add_options in (("store", None), ("server", None), ("classic", None), ("executor", executor_options), ("jobs", job_options),
                              ("kill", kill_options), ("token", token_options), ("fault", fault_options)):
        part = verbs.add_parser(verb)
        part.add_argument("folder", metavar="DIR")
        if add_options:
            add_options(part)
    return parser.parse_args()


def fault(engine, options):
    if options.kind == "list":
        for _, rule in engine.faults():
            print(json.dumps(rule))
    elif options.kind == "fired":
        for kind, times in engine.fired().items():
            print(kind, times)
    elif options.kind == "clear":
        engine.clear_faults()
    else:
        engine.add_fault({key: getattr(options, key)
                          for key in ("kind", "job", "name", "count", "after", "seconds", "text")})


def job_options(parser):
    parser.add_argument("--open", action="store_true", help="only those that wait or run")


def kill_options(parser):
    parser.description = "An administrator ends jobs; their payloads hear of it with the next heartbeat."
    parser.add_argument("jobs", type=int, nargs="*", help="JobIDs; all that wait or run when none is named")


def rows(engine, names, only_open=False):
    from api import Api

    search = [{"parameter": "Status", "operator": "not in", "values":
               ["Done", "Completed", "Failed", "Killed", "Deleted"]}] if only_open else []
    return Api(engine, threading.Event()).call(
        "POST", "/api/jobs/search?per_page=10000", {"parameters": names, "search": search}, patient=False)


def kill(engine, options):
    from api import Api

    ids = options.jobs or [row["JobID"] for row in rows(engine, ["JobID"], only_open=True)]
    stamp = utcnow().isoformat()
    killed = {str(job): {stamp: {"Status": "Killed", "MinorStatus": "Marked for termination", "Source": "Administrator"}}
              for job in ids}
    if killed:
        Api(engine, threading.Event()).call("PATCH", "/api/jobs/status?force=true", killed, patient=False)


def jobs(engine, options):
    names = ["JobID", "JobName", "Owner", "Status", "MinorStatus", "ApplicationStatus", "Site", "RescheduleCounter"]
    for row in rows(engine, names, options.open):
        print("  ".join(f"{row[name]}" for name in names))


def main():
    options = arguments()
    engine = Engine(options.folder)
    if options.verb == "store":
        import store

        store.serve(engine)
    elif options.verb == "server":
        import server

        server.serve(engine)
    elif options.verb == "classic":
        import classic

        classic.serve(engine)
    elif options.verb == "executor":
        import executor

        for path in options.hide:
            if engine.folder.is_relative_to(path):
                sys.exit(f"--hide {path} would hide the jobs' own folders too")
        executor.Executor(engine, options).main()
    elif options.verb == "token":
        import tokens

        print(tokens.make(engine, options))
    elif options.verb == "fault":
        fault(engine, options)
    elif options.verb == "kill":
        kill(engine, options)
    else:
        jobs(engine, options)


if __name__ == "__main__":
    main()
