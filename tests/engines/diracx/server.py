"""The real DiracX, with faults around it."""
import asyncio
import contextlib
import sqlite3

from engine import EXECUTOR, OF_THE_SERVER
from settings import DATABASES, database, set_environment


LONGEST = 12  # seconds


class OneAtATime:
    """Around the DiracX application: faults, and one request after the other.

    SQLite under DiracX cannot serve two requests at once: "database is locked" (500),
    at times for good. A request is read in full first, so that a slow client blocks none.
    """

    def __init__(self, app, engine):
        self.app, self.engine, self.lock = app, engine, asyncio.Lock()

    def fault(self, scope):
        rule = None
        if dict(scope["headers"]).get(b"user-agent") != EXECUTOR.encode():
            self.engine.note_call(f"{scope['method']} {scope['path']}")
            rule = self.engine.take_fault(OF_THE_SERVER, name=f"{scope['method']} {scope['path']}")
        return rule or {"kind": ""}

    async def refuse(self, send):
        body = b'{"detail":"Service Unavailable"}'
        await send({"type": "http.response.start", "status": 503, "headers": [
            (b"retry-after", b"1"), (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        rule = self.fault(scope)
        if rule["kind"] == "api-503":
            return await self.refuse(send)
        answer = []

        async def replay():
            return messages.pop(0) if messages else await receive()

        async def keep(message):
            answer.append(message)

        async with self.lock:  # A request that hangs, as one did of 0.3.0, holds up the others no longer than this.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.app(scope, replay, keep if rule["kind"] else send), LONGEST)
        if rule["kind"]:
            await self.spoil(rule, answer, send)
        return None

    async def spoil(self, rule, answer, send):
        """What a client sees instead of the answer."""
        kind, transport = rule["kind"], send.__self__.transport
        if kind == "api-slow":
            await asyncio.sleep(rule["seconds"])
            for message in answer:
                await send(message)
        elif kind == "api-html":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"<html><h1>Welcome to the portal</h1></html>"})
        elif kind == "api-endless":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
            while not transport.is_closing():
                await send({"type": "http.response.body", "body": b" " * 65536, "more_body": True})
                await asyncio.sleep(0)
        else:
            if kind == "api-cut":
                body = b"".join(message.get("body", b"") for message in answer[1:])
                await send(answer[0])
                await send({"type": "http.response.body", "body": body[:len(body) // 2], "more_body": True})
                await asyncio.sleep(0.1)  # Until it is sent.
            transport.abort()


def serve(engine):
    set_environment(engine)
    for name in DATABASES:  # Other programs may read them meanwhile.
        with contextlib.closing(sqlite3.connect(database(engine, name))) as connection:
            connection.execute("PRAGMA journal_mode=WAL")

    import uvicorn
    from diracx.testing import routers

    config = uvicorn.Config(
        OneAtATime(routers.create_app(), engine), timeout_graceful_shutdown=3,
        ssl_certfile=str(engine.folder / "ca/host.pem"), ssl_keyfile=str(engine.folder / "ca/host.key"))
    uvicorn.Server(config).run(sockets=[engine.listen("server")])
