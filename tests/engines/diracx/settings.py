"""What DiracX reads from its environment."""
import base64
import hashlib
import json
import os

from engine import S3_SECRET

DATABASES = ("TASKDB", "AUTHDB", "JOBDB", "JOBLOGGINGDB", "PILOTAGENTSDB", "RESOURCESTATUSDB", "SANDBOXMETADATADB",
             "TASKQUEUEDB", "TRANSFORMATIONDB")


def database(engine, name):
    return engine.folder / "db" / f"{name.lower()}.db"


def set_environment(engine):
    """Before anything of DiracX is imported; what is set already stays."""
    # Of a call that finds its database locked for five seconds 0.3.0 may go on for ever, and answer nobody else.
    urls = {name: f"sqlite+aiosqlite:///{database(engine, name)}?timeout=60" for name in (*DATABASES, "JOBPARAMETERSDB")}
    settings = {f"DIRACX_DB_URL_{name}": urls[name] for name in DATABASES}
    settings |= {
        "DIRACX_OS_DB_JOBPARAMETERSDB": json.dumps({"sqlalchemy_dsn": urls["JOBPARAMETERSDB"]}),
        "DIRACX_CONFIG_BACKEND_URL": f"git+file://{engine.folder}/configuration",
        "DIRACX_SERVICE_AUTH_TOKEN_KEYSTORE": f"file://{engine.folder}/etc/jwks.json",
        "DIRACX_SERVICE_AUTH_STATE_KEY": engine.key("state"),
        "DIRACX_SERVICE_AUTH_TOKEN_ISSUER": "https://diracx.invalid",
        "DIRACX_SERVICE_AUTH_ALLOWED_REDIRECTS": "[]",
        "DIRACX_LEGACY_EXCHANGE_HASHED_API_KEY":
            hashlib.sha256(base64.urlsafe_b64decode(engine.key("legacy"))).hexdigest(),
        "DIRACX_SANDBOX_STORE_BUCKET_NAME": "sandboxes",
        "DIRACX_SANDBOX_STORE_S3_CLIENT_KWARGS": json.dumps({
            "endpoint_url": f"http://127.0.0.1:{engine.port('store')}",
            "aws_access_key_id": "testing", "aws_secret_access_key": S3_SECRET}),
    }
    os.environ.update({name: value for name, value in settings.items() if name not in os.environ})
