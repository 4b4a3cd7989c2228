"""Stand-in for what a bare DiracX lacks: optimizer, matcher, pilots and JobWrappers in one program.

Takes jobs from the real DiracX, runs them in folders of their own with N slots, uploads the output sandboxes, reports
states as DIRAC 9's JobWrapper does.
"""
import base64
import contextlib
import datetime
import glob
import os
import pwd
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time
import urllib.error
import zlib
from pathlib import Path

from api import Api, ApiError
from engine import OF_THE_PILOT, start_time, utcnow
from settings import database

TAIL_LINES = 20
DURING_THE_PAYLOAD = ("pilot-dies", "stall", "reschedule", "zombie", "operator-kill", "deaf", "watchdog")


def cpu_seconds(session):
    """CPU time of all processes of a session, children that ended included."""
    ticks = 0
    for name in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(name).read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


class Job:
    """One job in one run."""

    def __init__(self, row, jdl):
        self.id, self.name = row["JobID"], row["JobName"]
        self.who = (row["Owner"], row["OwnerGroup"])
        self.run = int(row.get("RescheduleCounter") or 0)
        self.jdl = jdl
        self.last_stamp = utcnow()
        self.ahead = datetime.timedelta()
        self.copy_lives = False  # unseen, after a rescheduling


def parse_jdl(text):
    """The flat attributes of a JDL as the server stores it."""
    found = {}
    for key, value in re.findall(r"^\s*(\w+) =\s*(\{.*?\}|\"[^\"]*\"|[^;\[]*);", text, re.S | re.M):
        values = re.findall(r'"([^"]*)"', value)
        found.setdefault(key, values if value.startswith("{") else values[0] if values else value.strip())
    return found


def as_list(value):
    return value if isinstance(value, list) else [part.strip() for part in value.split(",")] if value else []


class Executor:
    def __init__(self, engine, options):
        self.engine, self.options = engine, options
        self.stop = threading.Event()
        self.api = Api(engine, self.stop)
        self.scratch, self.running = engine.home / "scratch", engine.home / "running"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.running.mkdir(exist_ok=True)
        self.active, self.held = {}, {}
        self.active_lock = threading.Lock()

    # -- reports ---------------------------------------------------------

    def report(self, job, source, *states):
        """Reports states in order with increasing time stamps; gives the resulting state."""
        update = {}
        for state in states:
            keys = ("Status", "MinorStatus", "ApplicationStatus")
            job.last_stamp = max(utcnow() + job.ahead, job.last_stamp + datetime.timedelta(milliseconds=1))
            update[job.last_stamp.isoformat()] = {
                key: value for key, value in zip(keys, state) if value} | {"Source": source}
        answer = self.api.call("PATCH", "/api/jobs/status", {str(job.id): update})
        return answer.get("success", {}).get(str(job.id), {}).get("Status")

    def reschedule(self, job, reason):
        self.report(job, "JobWrapper", ("Rescheduled", reason, f"Failed {reason}"))
        try:
            answer = self.api.call("POST", "/api/jobs/reschedule", {"job_ids": [job.id]})
            state = answer["success"].get(str(job.id), {}).get("Status")
        except ApiError as error:
            if error.code != 400:
                raise
            state = "refused"  # 400: no reschedulings left
        if state == "refused":
            state = self.report(job, "JobManager", ("Failed", "Maximum of reschedulings reached"))
        elif state != "Received":  # the classic JobManager asks no state machine here
            stamp = utcnow().isoformat()
            self.api.call("PATCH", "/api/jobs/status?force=true", {str(job.id): {stamp: {
                "Status": "Received", "MinorStatus": "Job Rescheduled", "Source": "JobManager"}}})
        copy = ", a copy lives on" if job.copy_lives else ""
        self.engine.log(f"job {job.id} run {job.run}: rescheduled ({reason}), {state}{copy}")

    # -- optimizer and matcher -------------------------------------------

    def pending(self):
        fields = ["JobID", "JobName", "Owner", "OwnerGroup", "Status", "RescheduleCounter", "Site", "LastUpdateTime"]
        rows = self.api.call("POST", "/api/jobs/search?per_page=10000", {
            "parameters": fields, "sort": [{"parameter": "JobID", "direction": "asc"}],
            "search": [{"parameter": "Status", "operator": "in", "values": ["Received", "Checking", "Waiting"]}]})
        ids = [row["JobID"] for row in rows]
        jdls = {}
        path = f"file:{database(self.engine, 'JOBDB')}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=30)) as db:
            for part in range(0, len(ids), 500):
                marks = ids[part:part + 500]
                query = f"SELECT JobID, JDL FROM JobJDLs WHERE JobID IN ({','.join('?' * len(marks))})"
                jdls.update(db.execute(query, marks).fetchall())
        for row in rows:
            text = jdls.get(row["JobID"]) or ""
            if text and not text.startswith("["):
                text = zlib.decompress(base64.b64decode(text)).decode()
            yield row, Job(row, parse_jdl(text))

    def optimize(self, row, job):
        rule = self.engine.take_fault(("hold",), job.id, job.name, keep=job.id in self.held)
        if rule:
            end = self.held.setdefault(job.id, time.time() + rule["seconds"])
            if row["Status"] == "Received":
                self.report(job, "JobScheduling", ("Checking", "JobScheduling", rule["text"] or "Sites are inactive"))
        end = self.held.get(job.id, 0)
        if time.time() < end:
            return False
        self.held.pop(job.id, None)
        states = [("Checking", "JobSanity"), ("Checking", "JobScheduling", "Unknown"),
                  ("Waiting", "Pilot Agent Submission")]
        return self.report(job, "OptimizationMind", *states) == "Waiting"

    def fits(self, job):
        """What a matcher compares; a job that does not fit waits for ever."""
        jdl, opts = job.jdl, self.options
        sites, banned = as_list(jdl.get("Site")), as_list(jdl.get("BannedSites"))
        processors = int(jdl.get("NumberOfProcessors") or jdl.get("MinNumberOfProcessors") or 1)
        return ((not sites or "ANY" in sites or opts.site in sites) and opts.site not in banned
                and set(as_list(jdl.get("Tags")) + as_list(jdl.get("Tag"))) <= set(opts.tags)
                and processors <= opts.processors and int(jdl.get("CPUTime", 0)) <= opts.max_cpu_time)

    def cycle(self):
        for row, job in self.pending():
            if self.stop.is_set():
                return
            with self.active_lock:
                if job.id in self.active:
                    continue
                free = len(self.active) < self.options.slots
            if row["Status"] != "Waiting" and not self.optimize(row, job):
                continue
            if not free or not self.fits(job) or self.engine.take_fault(("never-match",), job.id, job.name, keep=True):
                continue
            if self.report(job, "Matcher", ("Matched", "Assigned")) != "Matched":
                continue
            with contextlib.suppress(ApiError):
                self.api.call("PATCH", "/api/jobs/metadata",
                              {str(job.id): {"Site": self.options.site, "HostName": "localhost"}})
            with self.active_lock:
                self.active[job.id] = job
            threading.Thread(target=self.wrap, args=(job,), daemon=True).start()

    # -- pilot and JobWrapper --------------------------------------------

    def wrap(self, job):
        folder = self.scratch / f"{job.id}-{job.run}-{time.time_ns()}"
        try:
            folder.mkdir(mode=0o700)
            self.execute(job, folder)
        except ApiError as error:
            self.engine.log(f"job {job.id} run {job.run}: gave up, {error}")
        except Exception as error:  # as the JobWrapper does
            self.engine.log(f"job {job.id} run {job.run}: {error!r}")
            with contextlib.suppress(ApiError):
                self.report(job, "JobWrapper", ("Failed", "Exception During Execution", repr(error)[:250]))
        finally:
            with self.active_lock:
                self.active.pop(job.id, None)
            if not job.copy_lives:
                shutil.rmtree(folder, ignore_errors=True)

    def execute(self, job, folder):
        rule = self.engine.take_fault(OF_THE_PILOT, job.id, job.name) or {"kind": ""}
        kind = rule["kind"]
        if kind:
            self.engine.log(f"job {job.id} run {job.run}: fault {kind}")
        if kind == "clock-ahead":
            job.ahead = datetime.timedelta(seconds=rule["seconds"])
        self.report(job, "JobAgent", ("", "Job Received by Agent"), ("", "Submitted To CE"))
        states = [("Running", "Job Initialization", "Unknown"), ("", "Downloading InputSandbox")]
        if self.report(job, "JobWrapper", *states) != "Running":
            return
        try:
            if kind == "fail-input":
                raise OSError("fault")
            for pfn in as_list(job.jdl.get("InputSandbox")):
                if pfn.startswith("SB:"):  # Others are named beside them by the classic commands.
                    self.api.download(job.who, pfn, folder)
        except (OSError, ApiError, tarfile.TarError) as error:
            self.engine.log(f"job {job.id} run {job.run}: input sandbox: {error}")
            self.report(job, "JobWrapper", ("", "Failed Downloading InputSandbox"))
            return self.reschedule(job, "Downloading InputSandbox")
        name = job.jdl.get("Executable", "")
        program = folder / (name if "/" in name else shutil.which(name) or name)
        if not name or not program.is_file():
            self.report(job, "JobWrapper", ("Failed", "Application not found"))
            return None
        if program.is_relative_to(folder):
            program.chmod(program.stat().st_mode | 0o500)
        self.report(job, "JobWrapper", ("", "Application"))
        outcome = self.payload(job, folder, program, rule)
        if outcome is not None:
            self.finish(job, folder, outcome, rule)
        return None

    def payload(self, job, folder, program, rule):
        """Runs the program under the Watchdog; exit code, ("watchdog", text), ("killed",) or None."""
        streams = [open(folder / job.jdl.get(key, default), "ab") for key, default in
                   (("StdOutput", "std.out"), ("StdError", "std.err"))]
        command = [str(program), *shlex.split(job.jdl.get("Arguments", ""))]
        if self.options.run_as:
            account = pwd.getpwnam(self.options.run_as)
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
            command = ["setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups",
                       *command]
        if self.options.hide:
            script = 'for d in $1; do mount -t tmpfs none "$d" || exit 126; done; shift; exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, "hide", " ".join(self.options.hide), *command]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
                       "JOBID": str(job.id), "DIRACJOBID": str(job.id), "DIRACSITE": self.options.site,
                       "DIRACX_ENGINE_OWNER": str(self.engine.folder)}
        environment.update(pair.split("=", 1) for pair in as_list(job.jdl.get("Environment")) if "=" in pair)
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=streams[0], stderr=streams[1], start_new_session=True)
        for stream in streams:
            stream.close()
        mark = self.running / str(child.pid)
        mark.write_text(f"{child.pid} {start_time(child.pid)}\n")
        self.engine.log(f"job {job.id} run {job.run}: started {job.name}")
        try:
            return self.watch(job, folder, child, rule)
        finally:
            if not job.copy_lives:
                mark.unlink(missing_ok=True)

    def terminate(self, child, hard=False):
        for number in ([signal.SIGKILL] if hard else [signal.SIGTERM, signal.SIGKILL]):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)
        child.wait()

    def watch(self, job, folder, child, rule):
        """Until the payload has ended; what it gives as payload()."""
        begin, beat = time.time(), 0.0
        pending = rule["kind"] in DURING_THE_PAYLOAD
        deaf_until = 0.0
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.1)
            now = time.time()
            if pending and now - begin >= rule["after"]:
                pending = False
                gone, outcome = self.disturb(job, child, rule)
                if gone:
                    return outcome
                if rule["kind"] in ("stall", "deaf"):
                    deaf_until = now + rule["seconds"]
            if child.poll() is not None and now >= deaf_until:
                with contextlib.suppress(ProcessLookupError):  # what the payload left behind
                    os.killpg(child.pid, signal.SIGKILL)
                return child.returncode if child.returncode >= 0 else 128 - child.returncode
            if self.stop.is_set():
                self.terminate(child, hard=True)
                return None
            if now < deaf_until or now - beat < self.options.heartbeat:
                continue
            beat = now
            outcome = self.heartbeat(job, folder, child, now - begin)
            if outcome:
                self.terminate(child)
                return outcome

    def disturb(self, job, child, rule):
        """A fault while the payload runs: whether it is over for this copy, and what payload() gives then."""
        kind = rule["kind"]
        if kind == "pilot-dies":
            self.terminate(child, hard=True)
            self.stop.wait(rule["seconds"])
            self.report(job, "StalledJobAgent", ("Stalled", "Watchdog identified this job as stalled"))
            self.stop.wait(rule["seconds"])
            self.report(job, "StalledJobAgent", ("Failed", "Job stalled: pilot not running"))
            return True, None
        if kind in ("reschedule", "zombie"):
            job.copy_lives = kind == "zombie"
            if not job.copy_lives:
                self.terminate(child, hard=True)
            self.reschedule(job, "JobWrapper execution")
            return True, None
        if kind == "watchdog":
            self.terminate(child)
            return True, ("watchdog", rule["text"] or "Job has exceeded maximum wall clock time")
        if kind == "stall":
            self.report(job, "StalledJobAgent", ("Stalled",))
        elif kind == "operator-kill":
            self.report(job, "JobManager", ("Killed", "Marked for termination"))
        return False, None

    def heartbeat(self, job, folder, child, wall_time):
        """Tells DiracX that the payload runs; why it is to end, None if it is not."""
        used = cpu_seconds(child.pid)
        text = b""
        with contextlib.suppress(OSError):
            text = (folder / job.jdl.get("StdOutput", "std.out")).read_bytes()[-8192:]
        tail = "\n".join(text.decode(errors="replace").splitlines()[-TAIL_LINES:])
        try:
            commands = self.api.call("PATCH", "/api/jobs/heartbeat", {str(job.id): {
                "WallClockTime": wall_time, "CPUConsumed": used, "StandardOutput": tail}}, patient=False)
        except (ApiError, OSError):
            return None  # a heartbeat may be lost
        if any(command["job_id"] == job.id and command["command"] == "Kill" for command in commands or []):
            return ("killed",)
        limit = float(job.jdl.get("CPUTime") or 0)
        if limit and used > limit:
            return "watchdog", "Job has reached the CPU limit of the queue"
        return None

    def finish(self, job, folder, outcome, rule):
        """Output sandbox and final state, in the JobWrapper's order."""
        kind, failed = rule["kind"], outcome != 0
        self.engine.log(f"job {job.id} run {job.run}: ended {outcome}")
        if isinstance(outcome, tuple):
            if outcome[0] == "watchdog":
                self.report(job, "JobWrapper", ("Failed", outcome[1]))
        elif failed:
            self.report(job, "JobWrapper", ("Completing", "Application Finished With Errors"))
            if outcome == 222:
                self.report(job, "JobWrapper", ("", "Going to reschedule job"))
                return self.reschedule(job, "JobWrapper execution")
        else:
            self.report(job, "JobWrapper", ("Completing", "Application Finished Successfully"),
                        ("", "Uploading Output Sandbox"))
        if kind not in ("lose-output", "late-output"):
            self.output(job, folder, rule["text"] if kind == "hostile-output" else "")
        if not isinstance(outcome, tuple):
            states = [] if failed else [("", "Output Sandbox Uploaded")]
            if kind == "fail":
                states.append(("Failed", rule["text"] or "Failed sending requests"))
            elif failed:
                states.append(("Failed", "Application Finished With Errors"))
            elif kind == "completed":
                states.append(("Completed", "Pending Requests"))
            else:
                states.append(("Done", "Execution Complete"))
            self.report(job, "JobWrapper", *states)
            if kind == "completed":
                self.stop.wait(rule["seconds"])
                self.report(job, "RequestManager", ("Done", "Requests done"))
        if kind in ("late-output", "purge"):
            self.stop.wait(rule["seconds"])
        if kind == "late-output":
            self.output(job, folder)
        if kind == "purge":
            self.purge(job)
        return None

    def output(self, job, folder, hostile=""):
        files = {}
        for pattern in as_list(job.jdl.get("OutputSandbox")):
            for path in glob.glob(str(folder / pattern)):
                files[path] = Path(path).name
        if hostile == "missing":
            files.pop(str(folder / "status"), None)
        elif hostile:
            added = folder / "hostile"
            if hostile == "link":
                added.symlink_to("/etc/passwd")
            else:
                with open(added, "wb") as bomb:
                    bomb.truncate(300 << 20 if hostile == "bomb" else 10)
            files[str(added)] = "../hostile" if hostile == "parent" else "hostile"
        if not files:
            return
        pfn = self.api.upload(job.who, sorted(files.items()))
        try:
            self.api.call("PATCH", f"/api/jobs/{job.id}/sandbox/output", pfn, who=job.who)
        except ApiError as error:
            self.engine.log(f"job {job.id} run {job.run}: output sandbox not assigned: {error}")

    def purge(self, job):
        self.api.call("DELETE", f"/api/jobs/{job.id}/sandbox")
        self.report(job, "JobCleaningAgent", ("Deleted",))
        with contextlib.closing(sqlite3.connect(database(self.engine, "JOBDB"), timeout=30)) as db, db:
            for table in ("JobJDLs", "Jobs", "InputData", "HeartBeatLoggingInfo", "JobCommands"):
                db.execute(f"DELETE FROM {table} WHERE JobID = ?", (job.id,))

    # -- life ------------------------------------------------------------

    def orphans(self):
        """Payloads of an executor that was killed: end them, tell DIRAC as its StalledJobAgent would."""
        for mark in self.running.iterdir():
            pid, begin = mark.read_text().split()
            if str(start_time(int(pid))) == begin:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(pid), signal.SIGKILL)
            mark.unlink()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(mode=0o711)
        rows = self.api.call("POST", "/api/jobs/search?per_page=10000", {
            "parameters": ["JobID", "JobName", "Owner", "OwnerGroup", "Status", "RescheduleCounter"],
            "search": [{"parameter": "Status", "operator": "in", "values":
                        ["Matched", "Running", "Stalled", "Completing", "Rescheduled"]}]})
        for row in rows:
            job = Job(row, {})
            self.engine.log(f"job {job.id}: was {row['Status']} when the pilots died")
            if row["Status"] == "Matched":
                self.reschedule(job, "JobWrapper execution")
            else:
                self.report(job, "StalledJobAgent", ("Stalled", "Watchdog identified this job as stalled"),
                            ("Failed", "Job stalled: pilot not running"))

    def main(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self.engine.log(f"{self.options.slots} slots at {self.options.site}")
        with contextlib.suppress(ApiError):
            self.orphans()
        (self.engine.home / "ready").touch()
        while not self.stop.wait(self.options.poll):
            try:
                self.cycle()
            except (ApiError, sqlite3.Error, urllib.error.HTTPError) as error:
                self.engine.log(f"cycle: {error}")
        deadline = time.time() + 12
        while self.active and time.time() < deadline:
            time.sleep(0.1)
