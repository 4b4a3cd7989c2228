"""The services of a classic DIRAC, as far as its user commands call them: each call is handed on to the real DiracX."""
import base64
import datetime
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from api import Api, ApiError
from engine import OF_THE_SERVER, USERS, utcnow

GROUP_EXTENSION = bytes.fromhex("06032a2a2a")  # 1.2.42.42, which dirac-proxy-init writes
TIMES = ("SubmissionTime", "RescheduleTime", "LastUpdateTime", "StartExecTime", "HeartBeatTime", "EndExecTime")
MOST_BYTES = 10 << 20


class Refusal(Exception):
    """With DIRAC's number of the error."""

    def __init__(self, text, number=0):
        super().__init__(text)
        self.number = number


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def encoded(value):
    """As JEncode writes what JSON has not."""
    if isinstance(value, datetime.datetime):
        return {"__dCls": "dt", "obj": value.strftime("%Y-%m-%d %H:%M:%S")}
    raise TypeError(type(value))


def decoded(found):
    return base64.b64decode(found["obj"]) if found.get("__dCls") == "b64" else found.get("obj", found)


def group_in(certificate):
    """The text of that extension: its lengths stand in one byte each."""
    at = certificate.find(GROUP_EXTENSION) + len(GROUP_EXTENSION)
    found = certificate[at + 4:at + 4 + certificate[at + 3]]
    return found.decode() if GROUP_EXTENSION in certificate else ""


class Calls:
    """Those of one caller."""

    def __init__(self, engine, api, user, group):
        self.engine, self.api, self.who = engine, api, (user, group)

    def search(self, parameters, *conditions):
        rows, page = [], 1
        while True:
            found = self.api.call("POST", f"/api/jobs/search?per_page=10000&page={page}", who=self.who, body={
                "parameters": parameters, "search": [dict(zip(("parameter", "operator", key), each))
                for each in conditions for key in ["values" if each[1] == "in" else "value"]]})
            rows += found
            if len(found) < 10000:
                return rows
            page += 1

    def of(self, ids, parameters=None, *conditions):
        ids = [int(each) for each in (ids if isinstance(ids, list) else [ids])]
        return self.search(parameters, ("JobID", "in", ids), *conditions) if ids else []

    # -- JobManager --------------------------------------------------------

    def submitJob(self, jdl):
        try:
            answer = self.api.call("POST", "/api/jobs/jdl", [jdl], who=self.who, patient=False)
        except ApiError as error:
            raise Refusal("JDL syntax error", 1501) from error if error.code == 400 else error
        return answer[0]["JobID"]

    def killJob(self, ids, force=False):
        update = {}
        owner = ("Owner", "eq", self.who[0])  # As JobPolicy has it; what only reads asks for none.
        for row in self.of(ids, ["JobID", "Status", "LoggingInfo"], owner):
            newest = max(moment(each["StatusTime"]) for each in row["LoggingInfo"])
            stamp = max(utcnow(), newest + datetime.timedelta(milliseconds=1))
            update[str(row["JobID"])] = {stamp.isoformat(): {
                "Status": "Killed", "MinorStatus": "Marked for termination", "Source": "JobManager"}}
        if update:
            self.api.call("PATCH", "/api/jobs/status", update, who=self.who)
        return [int(each) for each in update]

    # -- JobMonitoring -----------------------------------------------------

    def getJobs(self, conditions, date):
        wanted = [(key, "in" if isinstance(value, list) else "eq", value) for key, value in conditions.items()]
        rows = self.search(["JobID"], *wanted, ("LastUpdateTime", "gt", date))
        return [str(row["JobID"]) for row in rows]

    def getJobsSummary(self, ids):
        rows = self.of(ids)
        for row in rows:
            row.update({name: moment(row[name]) for name in TIMES if row.get(name)})
        return {str(row["JobID"]): row for row in rows}

    def getJobsStatus(self, ids):
        return {str(row["JobID"]): {"Status": row["Status"]} for row in self.of(ids, ["JobID", "Status"])}

    def getJobsStates(self, ids):
        names = ["Status", "MinorStatus", "ApplicationStatus"]
        return {str(row["JobID"]): {name: row[name] for name in names} for row in self.of(ids, ["JobID", *names])}

    def getJobsSites(self, ids):
        return {str(row["JobID"]): {"Site": row["Site"]} for row in self.of(ids, ["JobID", "Site"])}

    def getJobLoggingInfo(self, id):
        rows = self.of(id, ["JobID", "LoggingInfo"])
        if not rows:
            raise Refusal(f"No Logging information for job {id}")
        names = ("Status", "MinorStatus", "ApplicationStatus")
        return [[*(each[name] for name in names), f"{moment(each['StatusTime']):%Y-%m-%d %H:%M:%S.%f}", each["Source"]]
                for each in rows[0]["LoggingInfo"]]

    def getJobParameters(self, ids, name=None):
        return {str(each): {} for each in (ids if isinstance(ids, list) else [ids])}

    # -- SandboxStore ------------------------------------------------------

    def streamFromClient(self, name, token, size, data):
        if size > MOST_BYTES:
            raise Refusal(f"Size of the sandbox {size} is larger than {MOST_BYTES}")
        form = name[0].partition(".")[2]
        return self.api.store(self.who, data, form)

    def getSandboxesAssignedToEntity(self, entity):
        found = self.api.call("GET", f"/api/jobs/{int(entity.removeprefix('Job:'))}/sandbox/output", who=self.who)
        names = [name if name.startswith("SB:") else f"SB:SandboxSE|{name}" for name in found if name]
        return {"Output": names} if names else {}

    def streamToClient(self, url, token=""):
        name = url[url.index("/S3/"):]
        answer = self.api.call("GET", "/api/jobs/sandbox?" + urllib.parse.urlencode({"pfn": name}), who=self.who)
        return self.api.transfer(answer["url"])

    # -- Accounting --------------------------------------------------------

    def commitRegisters(self, entries):
        return None

    # -- ResourceStatus: of the one storage element ------------------------

    def select(self, table, conditions):
        return [["SandboxSE", "StorageElement", f"{kind}Access", "Active", "all"]
                for kind in ("Read", "Write", "Check", "Remove")]


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # Of one that says nothing.

    def log_message(self, format, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        method = fields["method"]
        rule = self.engine.take_fault(OF_THE_SERVER, name=f"RPC {method}") or {"kind": ""}
        if rule["kind"] == "api-503":
            return self.answer(503, b"the service is away")
        answer = self.call(method, json.loads(fields["args"], object_hook=decoded))
        if rule["kind"] == "api-lost":
            self.close_connection = True
            return None
        if rule["kind"] == "api-slow":
            time.sleep(rule["seconds"])
        return self.answer(200, answer)

    def call(self, method, arguments):
        names = [value for part in self.connection.getpeercert()["subject"] for key, value in part if key == "commonName"]
        group = group_in(self.connection.getpeercert(binary_form=True))
        self.engine.log(f"{method} {names[0]} {group} {str(arguments)[:200]}")
        try:
            if names[0] not in USERS or group != "user":
                raise Refusal("Unauthorized query", 1111)
            value = getattr(Calls(self.engine, self.api, names[0], group), method)(*arguments)
            if isinstance(value, bytes):
                return value
            return json.dumps({"OK": True, "Value": value}, default=encoded).encode()
        except (Refusal, ApiError) as error:
            self.engine.log(f"{method}: {error!r}")
            return json.dumps({"OK": False, "Errno": getattr(error, "number", 0), "Message": str(error)}).encode()

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener, context):
        super().__init__(listener.getsockname(), Service, bind_and_activate=False)
        self.socket.close()
        self.socket, self.context = listener, context

    def finish_request(self, request, client_address):  # In the thread of the request: who says nothing delays nobody.
        request.settimeout(60)
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request, client_address):
        pass


def serve(engine):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(engine.folder / "ca/host.pem", engine.folder / "ca/host.key")
    context.load_verify_locations(engine.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
    Service.engine, Service.api = engine, Api(engine, threading.Event())
    Server(engine.listen("classic"), context).serve_forever()
