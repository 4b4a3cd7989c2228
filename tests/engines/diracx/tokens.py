"""Credential files as the official client keeps them, and tokens that live as long as a test wants."""
import asyncio
import base64
import json
import threading
import time

from api import Api
from engine import USERS, VO, replace_file
from settings import database, set_environment


def rotating_refresh_token(engine, user, group):
    """As a login gives it: registered in AuthDB, rotated at each use."""
    from diracx.core.settings import AuthSettings
    from diracx.db.sql import AuthDB
    from diracx.logic.auth.token import _sign_token_payload, insert_refresh_token

    async def make():
        settings = AuthSettings()
        connection = AuthDB(f"sqlite+aiosqlite:///{database(engine, 'AUTHDB')}")
        async with connection.engine_context(), connection as auth_db:
            jti = await insert_refresh_token(auth_db, subject=f"{VO}:{USERS[user]}", scope=f"vo:{VO} group:{group}")
        end = int(time.time() + 60 * settings.refresh_token_expire_minutes)
        return _sign_token_payload(
            {"jti": str(jti), "exp": end, "legacy_exchange": False, "dirac_policies": {}}, settings)

    return asyncio.run(make())


def shortened(access_token, seconds):
    """The same, but it ends so many seconds from now; signed by the server's key."""
    from diracx.core.settings import AuthSettings
    from diracx.logic.auth.token import _sign_token_payload

    payload = access_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return _sign_token_payload(claims | {"exp": int(time.time() + seconds)}, AuthSettings())


def make(engine, options):
    """Writes the credential file; gives the access token."""
    answer = Api(engine, threading.Event()).exchange(options.user, options.group, options.minutes)
    set_environment(engine)
    if options.rotating:
        answer["refresh_token"] = rotating_refresh_token(engine, options.user, options.group)
    if options.access_seconds is not None:
        answer["access_token"] = shortened(answer["access_token"], options.access_seconds)
    replace_file(options.file or engine.folder / "credentials.json", json.dumps({
        "access_token": answer["access_token"], "refresh_token": answer["refresh_token"],
        "expires_on": int(time.time()) + answer["expires_in"] - 15}))
    return answer["access_token"]
