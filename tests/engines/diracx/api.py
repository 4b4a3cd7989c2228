"""The REST calls that the executor makes; it waits while the server is away."""
import hashlib
import io
import json
import ssl
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import zstandard
from engine import EXECUTOR, VO


class ApiError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code} {text[:300]}")
        self.code = code


class Api:
    """For any user; `stop` ends what waits."""

    def __init__(self, engine, stop):
        self.engine, self.stop, self.tokens = engine, stop, {}
        self.lock = threading.Lock()
        self.tls = ssl.create_default_context(cafile=engine.ca_file)

    def open(self, request):
        return urllib.request.urlopen(request, timeout=60, context=self.tls if request.type == "https" else None)

    def exchange(self, user, group, minutes=60):
        query = urllib.parse.urlencode({
            "preferred_username": user, "scope": f"vo:{VO} group:{group}", "expires_minutes": minutes})
        request = urllib.request.Request(f"{self.engine.url}/api/auth/legacy-exchange?{query}",
                                         headers={"User-Agent": EXECUTOR,
                                                  "Authorization": f"Bearer diracx:legacy:{self.engine.key('legacy')}"})
        with self.open(request) as answer:
            return json.load(answer)

    def bearer(self, who, fresh=False):
        with self.lock:
            token, end = self.tokens.get(who, ("", 0))
            if fresh or end < time.time() + 10:
                answer = self.exchange(*who)
                token, end = answer["access_token"], time.time() + answer["expires_in"]
                self.tokens[who] = (token, end)
            return token

    def call(self, method, path, body=None, who=None, patient=True):
        who = who or (EXECUTOR, "admin")
        fresh, failures = False, 0
        while True:
            try:
                request = urllib.request.Request(
                    self.engine.url + path, method=method,
                    data=None if body is None else json.dumps(body).encode(),
                    headers={"Content-Type": "application/json", "User-Agent": EXECUTOR,
                             "Authorization": f"Bearer {self.bearer(who, fresh)}"})
                with self.open(request) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code == 401 and not fresh:
                    fresh = True
                    continue
                failures += 1
                if error.code < 500 or not patient or (error.code == 500 and failures > 5):
                    raise ApiError(error.code, text) from None
            except OSError:
                failures += 1
                if not patient:
                    raise
            if self.stop.wait(min(0.2 * 2 ** min(failures, 5), 3)):
                raise ApiError(0, "stopping")

    def upload(self, who, files):
        """Makes, uploads and names a sandbox; files is a list of (path, name)."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for path, name in files:
                tar.add(path, name)
        return self.store(who, zstandard.ZstdCompressor(level=6).compress(raw.getvalue()), "tar.zst")

    def store(self, who, data, form):
        """Uploads and names a sandbox that is packed."""
        info = self.call("POST", "/api/jobs/sandbox", who=who, body={
            "checksum_algorithm": "sha256", "checksum": hashlib.sha256(data).hexdigest(),
            "size": len(data), "format": form})
        if info.get("url"):
            mark = "engine" + hashlib.sha256(data).hexdigest()[:32]
            parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
                     for key, value in info["fields"].items()]
            parts += [f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
                      f'Content-Type: application/octet-stream\r\n\r\n'.encode(), data, f"\r\n--{mark}--\r\n".encode()]
            self.transfer(info["url"], b"".join(parts), f"multipart/form-data; boundary={mark}")
        return info["pfn"]

    def download(self, who, pfn, target):
        answer = self.call("GET", "/api/jobs/sandbox?" + urllib.parse.urlencode({"pfn": pfn}), who=who)
        data = self.transfer(answer["url"])
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:  # Python 3.11.2 has no extraction filters yet
                path = Path(member.name)
                if not (member.isfile() or member.isdir()) or path.is_absolute() or ".." in path.parts:
                    raise tarfile.TarError(f"refused: {member.name}")
                tar.extract(member, target)

    def transfer(self, url, body=None, content_type=""):
        request = urllib.request.Request(url, data=body, headers={"User-Agent": EXECUTOR, "Content-Type": content_type})
        for attempt in range(5):
            try:
                with self.open(request) as answer:
                    return answer.read()
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == 4:
                    raise
            except OSError:
                if attempt == 4:
                    raise
            self.stop.wait(0.5)
        return b""
