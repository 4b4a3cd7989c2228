#!/usr/bin/env python3
"""Starts a real DiracX (`grids_test.py diracx 0.7.0`) or a real ARC CE (`grids_test.py arc`), runs one job there with
nothing but HTTP, looks at what it left, and stops all again; `grids_test.py faults` lets DiracX meet every fault. Ends
with 77 where it is not installed."""
import hashlib
import http.client
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = """#!/bin/sh
id -un
ls "$1"
cat "$2" 2>&1
pwd
setsid sleep 1000 >/dev/null 2>&1 &
echo done >>"$3"
"""


class Engine:
    """One that `program` starts in a folder of its own, beside `secret`, which jobs are not to see."""

    def __init__(self, program, environment):
        self.program = HERE / program
        self.folder = Path(tempfile.mkdtemp(prefix="grid-engine-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.dir = self.folder / "engine"
        self.secret = self.folder / "secret"
        self.secret.mkdir()
        (self.secret / "gridbridge.db").touch()
        self.seen = self.folder / "seen"
        self.seen.touch()
        self.seen.chmod(0o666)
        self.environment = os.environ | environment

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], env=self.environment, text=True, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def up(self, *options):
        begin = time.monotonic()
        result = self.run("up", self.dir, *options)
        if result.returncode == 69 and "GRIDBRIDGE_REQUIRE_ENGINES" not in os.environ:
            print(f"skipped: not installed here; {result.stderr}")
            sys.exit(77)
        assert result.returncode == 0, result.stderr
        print(f"up after {time.monotonic() - begin:.1f} s")
        listing = subprocess.run(["bash", "-c", f"set -a; . {self.dir}/env.sh; env -0"], capture_output=True, text=True)
        self.env = dict(pair.split("=", 1) for pair in listing.stdout.split("\0") if pair)

    def down(self):
        begin = time.monotonic()
        result = self.run("down", self.dir)
        assert result.returncode == 0, result.stderr
        print(f"down after {time.monotonic() - begin:.1f} s")
        left = [pid for pid in os.listdir("/proc") if pid.isdigit() and self.owns(pid)]
        assert not left, f"still running: {left}"

    def owns(self, pid):
        """A process that was told this folder, or works in it."""
        try:
            told = str(self.dir).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() + \
                Path(f"/proc/{pid}/environ").read_bytes()
            return told or os.readlink(f"/proc/{pid}/cwd").startswith(str(self.dir))
        except OSError:
            return False


def until(what, probe, seconds=60):
    """The first answer of the probe that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def fails(failure, call):
    try:
        call()
    except failure:
        return
    raise AssertionError("the fault was not met")


class DiracX(Engine):
    def __init__(self, release):
        super().__init__("diracx.sh", {"DIRACX_ENGINE_RELEASE": release, "DIRACX_ENGINE_INSTALLED_ONLY": "1"})

    def call(self, method, path, body=None):
        with self.ask(method, path, body) as answer:
            return json.load(answer)

    def ask(self, method, path, body=None):
        token = json.loads(Path(self.env["DIRACX_CREDENTIALS_PATH"]).read_text())["access_token"]
        request = urllib.request.Request(
            self.env["DIRACX_URL"] + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=self.env["DIRACX_CA_PATH"])
        return urllib.request.urlopen(request, timeout=30, context=context)

    def upload(self, name, text):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:bz2") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        checksum = hashlib.sha256(raw.getvalue()).hexdigest()
        sandbox = self.call("POST", "/api/jobs/sandbox", {
            "checksum_algorithm": "sha256", "checksum": checksum, "size": len(raw.getvalue()), "format": "tar.bz2"})
        parts = [f'--part\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
                 for key, value in sandbox["fields"].items()]
        parts += [b'--part\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n', raw.getvalue(),
                  b"\r\n--part--\r\n"]
        urllib.request.urlopen(urllib.request.Request(
            sandbox["url"], data=b"".join(parts), headers={"Content-Type": "multipart/form-data; boundary=part"}))
        return sandbox["pfn"]

    def download(self, pfn):
        place = self.call("GET", "/api/jobs/sandbox?" + urllib.parse.urlencode({"pfn": pfn}))
        with urllib.request.urlopen(place["url"]) as answer:
            packed = answer.read()
        unpack = "import sys, zstandard; zstandard.ZstdDecompressor().copy_stream(sys.stdin.buffer, sys.stdout.buffer)"
        plain = subprocess.run([self.env["DIRACX_ENGINE_PYTHON"], "-c", unpack], input=packed, capture_output=True,
                               check=True)
        with tarfile.open(fileobj=io.BytesIO(plain.stdout)) as tar:
            return {member.name: tar.extractfile(member).read().decode() for member in tar}

    def state(self, job):
        rows = self.call("POST", "/api/jobs/search", {
            "parameters": ["JobID", "Status", "MinorStatus", "RescheduleCounter", "LoggingInfo"],
            "search": [{"parameter": "JobID", "operator": "eq", "value": job}]})
        return rows[0] if rows else None

    def submit(self, name, *lines):
        return self.call("POST", "/api/jobs/jdl", [f'JobName="{name}"; JobGroup="gb"; {" ".join(lines)}'])[0]["JobID"]

    def fault(self, kind, *options):
        result = self.run("fault", self.dir, kind, *options)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def output(self, job):
        """Of the job's output sandbox; None = it has none. 0.3.0 says so by a null."""
        names = [name for name in self.call("GET", f"/api/jobs/{job}/sandbox/output") if name]
        return self.download(names[-1])["std.out"].splitlines() if names else None

    def ended(self, job):
        return until("the end", lambda: (row := self.state(job))["Status"] in ("Done", "Failed", "Killed") and row)

    def test(self):
        self.up("--run-as", "nobody", "--hide", self.secret)
        program = self.upload("hello.sh", SCRIPT)
        job = self.submit("gb-hello", f'Executable="hello.sh"; InputSandbox={{"{program}"}};',
                          'OutputSandbox={"std.out"};',
                          f'Arguments="{self.secret} {self.dir}/credentials.json {self.seen}";')
        row = self.ended(job)
        assert row["Status"] == "Done", row
        output = self.output(job)
        assert len(output) == 3 and output[0] == "nobody", output
        assert output[1].endswith("credentials.json: Permission denied"), output
        assert output[2].startswith(f"{self.dir}/executor/scratch/"), output
        assert self.seen.read_text() == "done\n"

    def test_faults(self):
        """One job for each fault of a job, then what fails between us and the servers; each fires once."""
        self.up("--slots", "20")
        ends = {  # Status, MinorStatus, RescheduleCounter, what the payload wrote to a file of ours
            "hold": ("Done", "Execution Complete", 0, 1),
            "never-match": ("Done", "Execution Complete", 0, 1),
            "fail-input": ("Done", "Execution Complete", 1, 1),
            "pilot-dies": ("Failed", "Job stalled: pilot not running", 0, 0),
            "stall": ("Done", "Execution Complete", 0, 1),
            "reschedule": ("Done", "Execution Complete", 1, 1),
            "zombie": ("Done", "Execution Complete", 1, 2),
            "operator-kill": ("Killed", "Marked for termination", 0, 0),
            "deaf": ("Done", "Execution Complete", 0, 1),
            "watchdog": ("Failed", "Out of time", 0, 0),
            "clock-ahead": ("Done", "Execution Complete", 0, 1),
            "lose-output": ("Done", "Execution Complete", 0, 1),
            "late-output": ("Done", "Execution Complete", 0, 1),
            "completed": ("Done", "Requests done", 0, 1),
            "fail": ("Failed", "Out of time", 0, 1),
            "hostile-output": ("Done", "Execution Complete", 0, 1),
        }
        for kind in (*ends, "purge"):
            self.fault(kind, "--name", kind, "--after", "1", "--seconds", "2", "--text", "Out of time")
        program = self.upload("slow.sh", "#!/bin/sh\nsleep 4\necho done | tee -a $1\n")
        found = {}
        for kind in (*ends, "purge"):
            found[kind] = self.folder / kind
            found[kind].touch()
        jobs = {kind: self.submit(kind, f'Executable="slow.sh"; InputSandbox={{"{program}"}};',
                                  'OutputSandbox={"std.out"};', f'Arguments="{found[kind]}";') for kind in found}
        until("the faults", lambda: len(self.fault("fired").splitlines()) == len(found))
        assert self.state(jobs["never-match"])["Status"] == "Waiting"
        purged = jobs.pop("purge")
        self.fault("clear")
        passed = {"hold": "Checking", "pilot-dies": "Stalled", "stall": "Stalled", "completed": "Completed"}
        for kind, job in jobs.items():
            row = self.ended(job)
            history = [entry["Status"] for entry in row["LoggingInfo"] if entry["Source"] != "OptimizationMind"]
            assert passed.get(kind, row["Status"]) in history, (kind, row)
            until(f"runs of {kind}", lambda: found[kind].read_text() == "done\n" * ends[kind][3])
            assert (row["Status"], row["MinorStatus"], row["RescheduleCounter"]) == ends[kind][:3], (kind, row)
        assert self.output(jobs["lose-output"]) is None
        assert until("a late output", lambda: self.output(jobs["late-output"])) == ["done"]
        until("the purge", lambda: not self.state(purged))
        self.test_faults_of_servers(jobs["late-output"])
        fired = dict(line.split() for line in self.fault("fired").splitlines())
        assert len(fired) == 25 and set(fired.values()) == {"1"}, fired

    def test_faults_of_servers(self, job):
        place = self.call("GET", f"/api/jobs/{job}/sandbox/output")[-1]
        for kind, failure in (("s3-503", urllib.error.HTTPError), ("s3-cut", http.client.IncompleteRead)):
            self.fault(kind, "--name", "GET /sandboxes/*")
            fails(failure, lambda: self.download(place))
        self.fault("api-lost", "--name", "POST /api/jobs/jdl")
        fails((OSError, http.client.HTTPException), lambda: self.submit("lost", 'Executable="/bin/true";'))
        found = self.call("POST", "/api/jobs/search", {
            "parameters": ["JobID"], "search": [{"parameter": "JobName", "operator": "eq", "value": "lost"}]})
        assert len(found) == 1, found
        self.fault("api-503", "--name", "* /api/jobs/*")
        fails(urllib.error.HTTPError, lambda: self.state(job))
        self.fault("api-slow", "--seconds", "1")
        begin = time.monotonic()
        assert self.state(job)["Status"] == "Done"
        assert time.monotonic() - begin >= 1
        self.fault("api-html")
        fails(ValueError, lambda: self.state(job))
        self.fault("api-cut")
        fails((OSError, http.client.HTTPException), lambda: self.state(job))
        self.fault("api-endless")
        with self.ask("GET", "/api/auth/userinfo") as answer:
            assert answer.read(1 << 24).isspace()


class Arc(Engine):
    def __init__(self):
        super().__init__("arc.sh", {"ARC_ENGINE_INSTALLED_ONLY": "1"})

    def call(self, method, path, body=None):
        context = ssl.create_default_context(cafile=self.env["ARC_CA_FILE"])
        context.load_cert_chain(self.env["ARC_CERT"], self.env["ARC_KEY"])
        request = urllib.request.Request(
            self.env["ARC_REST"] + path, method=method, data=body and body.encode(),
            headers={"Accept": "application/json", "Content-Type": "application/rsl"})
        for attempt in range(10):
            try:
                with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                    return answer.read().decode()
            except urllib.error.URLError as error:  # One of a hundred handshakes fails, whatever the certificates are.
                if not isinstance(error.reason, ssl.SSLError) or attempt == 9:
                    raise
        return None

    def test(self):
        self.up()
        answer = json.loads(self.call("POST", "/jobs?action=new", (
            '&(executable="hello.sh")(inputFiles=("hello.sh" ""))(stdout="job.log")(stderr="job.log")'
            f'(outputFiles=("/" ""))(arguments="{self.secret}" "{self.dir}/ca/user.key" "{self.seen}")'
            '(jobName="gb-hello")')))
        job = answer["job"]["id"]
        self.call("PUT", f"/jobs/{job}/session/hello.sh", SCRIPT)
        until("the end", lambda: job in self.call("GET", "/jobs?state=FINISHED,FAILED"))
        assert "exitcode=0" in self.call("GET", f"/jobs/{job}/diagnose/diag")
        output = self.call("GET", f"/jobs/{job}/session/job.log").splitlines()
        assert output[0] == "nobody", output
        assert any(line.endswith("user.key: Permission denied") for line in output), output
        assert self.seen.read_text() == "done\n"


def main():
    if os.geteuid() != 0 and "GRIDBRIDGE_REQUIRE_ENGINES" not in os.environ:
        print("skipped: jobs of another account need root")
        sys.exit(77)
    engine = Arc() if sys.argv[1] == "arc" else DiracX(sys.argv[2] if sys.argv[2:] else "0.7.0")
    try:
        engine.test_faults() if sys.argv[1] == "faults" else engine.test()
    except BaseException:
        for log in sorted(engine.dir.glob("log/*.log")):
            print(f"--- the end of {log.name}", *log.read_text(errors="replace").splitlines()[-20:], sep="\n")
        raise
    finally:
        engine.down()
        shutil.rmtree(engine.folder)


if __name__ == "__main__":
    main()
