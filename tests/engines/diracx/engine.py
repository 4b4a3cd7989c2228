"""The folder of one engine: settings, ports, faults, log; and what all parts ask of the machine."""
import contextlib
import datetime
import fcntl
import fnmatch
import json
import os
import re
import socket
import sys
import time
from pathlib import Path

FAULTS = {
    "hold": "optimizer: stays in Checking, TEXT as ApplicationStatus, for SECONDS",
    "never-match": "stays in Waiting as long as the fault stands",
    "fail-input": "input sandbox cannot be fetched: rescheduled; Failed when that is not allowed any more",
    "pilot-dies": "after AFTER s payload killed, no report; Stalled after SECONDS, then Failed",
    "stall": "after AFTER s no heartbeat for SECONDS: Stalled, then Running again",
    "reschedule": "after AFTER s payload killed, job back to Received, runs again",
    "zombie": "after AFTER s job back to Received while the first copy runs on unseen",
    "operator-kill": "after AFTER s an operator kills the job",
    "deaf": "kill commands and heartbeats unnoticed for SECONDS",
    "watchdog": "after AFTER s the Watchdog kills the payload with TEXT as MinorStatus",
    "clock-ahead": "state reports carry time stamps SECONDS in the future",
    "lose-output": "no output sandbox, state as if all was well",
    "late-output": "final state first, output sandbox SECONDS later",
    "completed": "Completed for SECONDS, then Done",
    "fail": "payload fine, job Failed with TEXT as MinorStatus",
    "hostile-output": "TEXT is in the output sandbox: link, parent or bomb; missing: no file named status is",
    "purge": "SECONDS after its end the job is removed from the database",
    "s3-503": "the object store answers 503",
    "s3-cut": "the object store closes the connection in mid-answer",
    "api-lost": "the server does the work and closes the connection without an answer",
    "api-slow": "the server answers after SECONDS",
    "api-503": "the server does nothing and answers 503 with Retry-After: 1",
    "api-html": "the server does the work, and a page for people is the answer",
    "api-cut": "the server does the work and closes the connection in mid-answer",
    "api-endless": "the server does the work, and its answer has no end",
}
BEFORE_THE_MATCH = ("hold", "never-match")
OF_THE_STORE = ("s3-503", "s3-cut")
OF_THE_SERVER = ("api-lost", "api-slow", "api-503", "api-html", "api-cut", "api-endless")
OF_THE_PILOT = tuple(kind for kind in FAULTS if kind not in BEFORE_THE_MATCH + OF_THE_STORE + OF_THE_SERVER)

VO = "testvo"
EXECUTOR = "executor"  # Its user, in the group admin; as a User-Agent: this request meets no faults.
USERS = {
    "bridge": "11111111-2222-3333-4444-555555555555",
    "other": "22222222-2222-3333-4444-555555555555",
    EXECUTOR: "99999999-2222-3333-4444-555555555555",
}
S3_SECRET = "testing"


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc)


def start_time(pid):
    """Start time of a process in clock ticks, None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Engine:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.home = self.folder / "executor"
        self.noted = set()
        self.fault_dir = self.home / "faults"
        self.fired_log = self.home / "faults.log"
        self.fault_dir.mkdir(parents=True, exist_ok=True)

    def log(self, text):
        print(f"{utcnow():%H:%M:%S.%f}"[:-3], text, flush=True)

    def note_call(self, name):
        """Of a client under test; calls of one kind have one name."""
        with open(self.home / "calls.log", "a") as log:
            log.write(f"{time.time():.3f} {re.sub('/[0-9]+', '/ID', name).replace(' ', '_')}\n")

    # -- settings ----------------------------------------------------------

    def key(self, name):
        return (self.folder / "etc" / f"{name}.key").read_text().strip()

    def port(self, name):
        return int((self.folder / "etc" / f"{name}.port").read_text())

    @property
    def url(self):
        return f"https://localhost:{self.port('server')}"

    @property
    def ca_file(self):
        return str(self.folder / "ca/ca.pem")

    def listen(self, name):
        """A listening socket: its port is chosen by the system the first time, and kept."""
        file = self.folder / "etc" / f"{name}.port"
        port = self.port(name) if file.exists() else 0
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 20
        while True:
            try:
                listener.bind(("127.0.0.1", port))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    sys.exit(f"port {port} is taken: {error}")
                time.sleep(0.1)
        listener.listen(100)
        draft = file.with_suffix(".new")
        draft.write_text(str(listener.getsockname()[1]))
        draft.rename(file)
        return listener

    # -- faults ------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self):
        with open(self.home / "faults.lock", "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def add_fault(self, rule):
        with self.locked():
            (self.fault_dir / f"{time.time_ns()}.json").write_text(json.dumps(rule))

    def faults(self):
        for path in sorted(self.fault_dir.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                yield path, json.loads(path.read_text())

    def clear_faults(self):
        with self.locked():
            for path, _ in self.faults():
                path.unlink()

    def fired(self):
        """How often each fault was met: {kind: times}."""
        counts = {}
        if self.fired_log.exists():
            for line in self.fired_log.read_text().splitlines():
                kind = line.split()[1]
                counts[kind] = counts.get(kind, 0) + 1
        return counts

    def take_fault(self, kinds, job=None, name="", keep=False):
        """The first fault that fits; one use less of it unless keep, which counts once for each job."""
        with self.locked():
            for path, rule in self.faults():
                if rule["kind"] not in kinds:
                    continue
                if rule["job"] and rule["job"] != job:
                    continue
                if rule["name"] and not fnmatch.fnmatchcase(name, rule["name"]):
                    continue
                if not keep:
                    rule["count"] -= 1
                    if rule["count"] > 0:
                        path.write_text(json.dumps(rule))
                    else:
                        path.unlink()
                if not keep or (job, rule["kind"]) not in self.noted:
                    self.noted.add((job, rule["kind"]))
                    with open(self.fired_log, "a") as log:
                        log.write(f"{utcnow().isoformat()} {rule['kind']} job={job} name={name}\n")
                return rule
        return None


def replace_file(path, text):
    """Whole or not at all, for its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.rename(path)
