"""Object store that keeps files: answers what DiracX and its clients ask of S3, and checks what S3 checks."""
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import re
import threading
import time
import urllib.parse
from pathlib import Path

from engine import EXECUTOR, OF_THE_STORE, S3_SECRET, Engine, utcnow


def error(code, message=""):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def signature(credential, text):
    _, *parts = credential.split("/")
    key = b"AWS4" + S3_SECRET.encode()
    for part in parts:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def form(body, content_type):
    """Fields and file of a multipart form; S3 ignores what follows the file."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    fields = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1] if boundary else []:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        value = value.removesuffix(b"\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        if name and name[1] == b"file":
            return fields, value
        if name:
            fields[name[1].decode().lower()] = value.decode()
    return fields, None


def breach(policy, fields, content):
    """Of the conditions of an upload: (HTTP code, S3's code), None if there is none."""
    for item in policy["conditions"]:
        if isinstance(item, dict):
            for key, value in item.items():
                if key != "bucket" and fields.get(key.lower()) != value:
                    return 403, "AccessDenied"
        elif item[0] == "content-length-range" and not item[1] <= len(content) <= item[2]:
            return 400, "EntityTooLarge" if len(content) > item[2] else "EntityTooSmall"
    return None


def refusal(fields, content):
    """Why an upload is not taken: (HTTP code, S3's code), None if it is."""
    try:
        good = signature(fields["x-amz-credential"], fields["policy"])
        if not hmac.compare_digest(good, fields["x-amz-signature"]):
            return 403, "SignatureDoesNotMatch"
        policy = json.loads(base64.b64decode(fields["policy"]))
        if utcnow() > datetime.datetime.fromisoformat(policy["expiration"].replace("Z", "+00:00")):
            return 403, "AccessDenied"
        if content is None:
            return 400, "MalformedPOSTRequest"
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        if fields.get("x-amz-checksum-sha256", digest) != digest:
            return 400, "BadDigest"
        return breach(policy, fields, content)
    except (KeyError, ValueError):
        return 403, "AccessDenied"


class Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine
    root: Path

    def log_message(self, format, *args):
        self.engine.log(f"{self.command} {urllib.parse.urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}")

    def answer(self, code, body=b"", headers=(), cut=False):
        self.send_response(code)
        for key, value in headers:
            self.send_header(key, value)
        if not any(key == "Content-Length" for key, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def where(self):
        """Folder of the bucket, and path of the object or None."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        bucket, _, key = path.partition("/")
        folder = self.root / re.sub(r"[^a-z0-9.-]", "_", bucket)
        return folder, folder / urllib.parse.quote(key, safe="") if key else None

    def fault(self):
        if self.headers.get("User-Agent") == EXECUTOR:
            return ""
        self.engine.note_call(f"{self.command} sandbox")
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        rule = self.engine.take_fault(OF_THE_STORE, name=f"{self.command} {path}")
        return rule["kind"] if rule else ""

    def do_HEAD(self):
        folder, path = self.where()
        if not (path or folder).exists():
            return self.answer(404)
        return self.answer(200, headers=[("Content-Length", str(path.stat().st_size if path else 0))])

    def unsigned(self):
        """Why a presigned address is not taken: the body of a 403, None if it is."""
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        try:
            given = query.pop("X-Amz-Signature")
            begin = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
            scope = query["X-Amz-Credential"].partition("/")[2]
            fields = urllib.parse.urlencode(sorted(query.items()), safe="-_.~", quote_via=urllib.parse.quote)
            signed = query["X-Amz-SignedHeaders"].split(";")
            heads = "".join(f"{name}:{self.headers.get(name, '').strip()}\n" for name in signed)
            plain = urllib.parse.quote(urllib.parse.unquote(url.path), safe="/-_.~")
            request = "\n".join([self.command, plain, fields, heads, ";".join(signed), "UNSIGNED-PAYLOAD"])
            text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope,
                              hashlib.sha256(request.encode()).hexdigest()])
            if not hmac.compare_digest(signature(query["X-Amz-Credential"], text), given):
                return error("SignatureDoesNotMatch")
            if utcnow() > begin + datetime.timedelta(seconds=int(query["X-Amz-Expires"])):
                return error("AccessDenied", "Request has expired")
            return None
        except (KeyError, ValueError):
            return error("AccessDenied")

    def do_GET(self):
        fault = self.fault()
        if fault == "s3-503":
            return self.answer(503, error("ServiceUnavailable"))
        if self.headers.get("Authorization"):
            return self.answer(400, error("InvalidArgument", "Only one auth mechanism allowed"))
        refused = self.unsigned()
        if refused:
            return self.answer(403, refused)
        _, path = self.where()
        if not path or not path.exists():
            return self.answer(404, error("NoSuchKey"))
        return self.answer(200, path.read_bytes(), [("Content-Type", "binary/octet-stream")], cut=fault == "s3-cut")

    def do_POST(self):
        folder, _ = self.where()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.fault()
        if fault == "s3-503":
            return self.answer(503, error("ServiceUnavailable"))
        if not folder.is_dir():
            return self.answer(404, error("NoSuchBucket"))
        fields, content = form(body, self.headers.get("Content-Type", ""))
        refused = refusal(fields, content)
        if refused:
            return self.answer(refused[0], error(refused[1]))
        target = folder / urllib.parse.quote(fields["key"], safe="")
        draft = target.with_name(f".{threading.get_ident()}.{time.time_ns()}")
        with open(draft, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.rename(target)
        if fault == "s3-cut":
            self.close_connection = True
            return None
        return self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener):
        super().__init__(listener.getsockname(), Store, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def serve(engine):
    Store.engine, Store.root = engine, engine.folder / "s3"
    Server(engine.listen("store")).serve_forever()
