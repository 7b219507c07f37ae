"""``todo doctor`` tries what the service depends on: mail server, key set, model, public URL, worker."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography.hazmat.primitives.asymmetric import ec

from app.auth.vapid_keys import VAPID_FILE_NAME
from app.commands.doctor import run_checks
from app.config import get_settings
from app.db.connection_options import ConnectOptions
from app.db.notifications import SERVER_PROGRAM, WORKER_PROGRAM, ChangeNotifications
from app.errors import AssistantNotInstalled
from tests.auth.test_jwks import Issuer, elliptic, issuer, okp, rsa_of  # noqa: F401 - the fixture
from tests.channels.conftest import VAPID_KEY
from tests.citus import CITUS_URL
from tests.databases import Databases
from tests.receivers import served
from tests.support import SECRET

pytestmark = pytest.mark.slow

Examine = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def examine(databases: Databases, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Returns a function that runs the checks with these settings; it returns the findings by their names."""
    monkeypatch.chdir(tmp_path)
    database = await databases.create(template=migrated)
    monkeypatch.setenv("NO_PROXY", "*")

    async def run(**settings: Any) -> dict[str, str]:
        with monkeypatch.context() as patch:
            for name, value in {"database_url": database.dsn, "jwt_secret": SECRET, **settings}.items():
                patch.setenv(name.upper(), str(value))
            get_settings.cache_clear()
            try:
                return {each.name: f"{'ok' if each.ok else 'FAIL'} {each.text}" for each in await run_checks()}
            finally:
                get_settings.cache_clear()

    run.database = database  # type: ignore[attr-defined]
    return run


async def test_what_is_not_set_is_not_examined(examine: Examine) -> None:
    found = await examine()
    names = ["configuration", "accounts", "mail", "push", "database", "migrations", "isolation", "backup"]
    if CITUS_URL:
        names.insert(names.index("isolation"), "distribution")
        names.insert(names.index("isolation"), "reads")
    assert [name for name in found if name != "temporary"] == names


@asynccontextmanager
async def mail_server(**options: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(object(), loop=loop, **options), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def admit(*arguments: Any) -> AuthResult:
    login = arguments[-1]
    return AuthResult(success=login.password == b"right", handled=False)


async def test_the_mail_server_is_tried_with_its_login(examine: Examine) -> None:
    options = {"authenticator": admit, "auth_require_tls": False}
    async with mail_server(**options) as port:
        right = await examine(smtp_url=f"smtp://ann:right@127.0.0.1:{port}", reset_url="https://x")
        wrong = await examine(smtp_url=f"smtp://ann:wrong@127.0.0.1:{port}")
    closed = await examine(smtp_url="smtp://127.0.0.1:1")
    assert right["mail"] == "ok by smtp://127.0.0.1 as todo@localhost, logged in"
    assert wrong["mail"].startswith("FAIL by smtp://127.0.0.1: SMTPAuthenticationError: (535")
    assert closed["mail"].startswith("FAIL by smtp://127.0.0.1: ConnectionRefusedError: ")
    assert "wrong" not in wrong["mail"]


async def test_a_silent_mail_server_is_given_up(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.doctor.outside.PATIENCE_SECONDS", 0.5)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side gives up
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        started = time.monotonic()
        found = await examine(smtp_url=f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        server.close()
    assert found["mail"].startswith("FAIL by smtp://127.0.0.1: no answer in ")
    assert time.monotonic() - started < 20


async def test_the_key_and_contact_of_web_push_are_checked(examine: Examine, tmp_path: Path) -> None:
    right = await examine(vapid_private_key=VAPID_KEY, public_url="https://todo.example.com")
    nobody = await examine(vapid_private_key=VAPID_KEY)
    wrong = await examine(vapid_private_key="x")
    assert right["push"] == "ok a key, and https://todo.example.com as contact for push services"
    assert nobody["push"].startswith("ok no contact for push services, and Apple's refuses")
    assert wrong["push"].startswith("FAIL VAPID_PRIVATE_KEY holds no private key: make one with")
    assert (await examine())["push"].startswith("ok off: set VAPID_PRIVATE_KEY")
    inside = await examine(database_url="", data_dir=tmp_path)
    assert inside["push"] == f"ok its key will be made at the first start, in {tmp_path}"
    assert not (tmp_path / VAPID_FILE_NAME).exists()


async def test_the_keys_of_the_issuer_are_named(examine: Examine, issuer: Issuer) -> None:  # noqa: F811
    settings = {"jwks_url": issuer.url, "jwt_issuer": "https://issuer.test"}
    issuer.keys = [okp("a"), elliptic(ec.SECP521R1(), kid="b"), rsa_of(1024, kid="c"), {"kty": "oct", "k": "c2VjcmV0"}]
    found = await examine(**settings)
    assert found["keys"] == (
        "ok used: a (EdDSA/Ed25519), b (ES512); not used: kid=c kty=RSA alg=-: 1024 bits: RSA keys have 2048 to 8192; "
        "kid=- kty=oct alg=-: a published secret: anybody could sign with it"
    )
    issuer.keys = [okp("a", use="enc")]
    assert (await examine(**settings))["keys"] == "FAIL used: none; not used: kid=a kty=OKP alg=-: use is enc, not sig"
    issuer.keys = []
    assert (await examine(**settings))["keys"] == "ok the issuer publishes none yet"
    issuer.status = "404 Not Found"
    assert (await examine(**settings))["keys"].startswith("FAIL cannot be fetched: ValueError: status 404")


@contextmanager
def answering(status: int, body: Any, *, kind: str = "application/json") -> Any:
    """Serves one answer to everything; yields the URL and the bodies that came."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}", came


ANSWER = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, ANSWER, "ok m at {url}/v1 answers"),
        (404, {"error": {"message": "model 'm' not found, try pulling it first"}},
         "FAIL m at {url}/v1 answered 404: model 'm' not found, try pulling it first"),
        (400, {"error": "m does not support tools"}, "FAIL m at {url}/v1 answered 400: m does not support tools"),
        (401, [{"error": {"message": "bad key hidden-key"}}], "FAIL m at {url}/v1 answered 401: bad key ***"),
        (200, {"error": {"message": "no credits"}}, "FAIL m at {url}/v1 answered 200: no credits"),
        (502, b"<html>Bad\ngateway</html>", "FAIL m at {url}/v1 answered 502: <html>Bad gateway</html>"),
    ],
)  # fmt: skip
async def test_the_model_is_asked_and_its_message_is_shown(examine: Examine, status: int, body: Any, said: str) -> None:
    with answering(status, body) as (url, came):
        found = await examine(llm_model="m", llm_base_url=f"{url}/v1", llm_api_key="hidden-key")
    assert found["assistant"] == said.format(url=url)
    assert came[0]["tools"]
    assert "hidden-key" not in str(found)


async def test_a_model_that_cannot_be_reached_is_a_finding(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = await examine(llm_model="m", llm_base_url="http://127.0.0.1:1/v1")
    assert closed["assistant"].startswith("FAIL m at http://127.0.0.1:1/v1: ConnectError")

    def load() -> None:
        raise AssistantNotInstalled

    monkeypatch.setattr("app.commands.doctor.outside.load_model", load)
    absent = await examine(llm_model="m")
    assert absent["assistant"] == f"FAIL {AssistantNotInstalled.message}"


async def test_the_public_url_must_lead_to_this_service(examine: Examine) -> None:
    assert "public url" not in await examine(public_url="urn:example:todo")
    with answering(200, {"status": "ok"}) as (own, _), answering(200, b"<html>", kind="text/html") as (other, _):
        port = own.rpartition(":")[2]
        right = await examine(public_url=own, port=port)
        wrong = await examine(public_url=other, port=port)
        away = await examine(public_url=other, port=1)
    assert right["public url"] == f"ok {own} answers"
    assert wrong["public url"] == (
        f"FAIL {other} does not lead to the service that runs here: another program answers. Check proxy and DNS"
    )
    assert away["public url"].startswith(f"ok {other} cannot be tried, no service runs here")


async def test_a_worker_that_is_missing_is_a_finding(examine: Examine, databases: Databases) -> None:
    database: ConnectOptions = examine.database  # type: ignore[attr-defined]
    assert "worker" not in await examine()
    assert (await examine(worker="off"))["worker"].startswith("FAIL none runs, and WORKER=off")
    async with ChangeNotifications(database, program=SERVER_PROGRAM):
        await asyncio.sleep(0.5)
        assert (await examine())["worker"].startswith("FAIL none runs")
        async with ChangeNotifications(database, program=WORKER_PROGRAM):
            async with asyncio.timeout(10):
                while not (said := (await examine())["worker"]).startswith("ok"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert said.startswith("ok todo worker: 0 webhooks and 0 channels are due")
    await databases.execute(
        "insert into users (id) values ('ann');"
        "insert into tasks (user_id, title, version, due_at, reminders, remind_at)"
        " values ('ann', 'x', 1, now(), '{PT0S}', now() - interval '1 hour')",
        database.dsn.rpartition("/")[2].partition("?")[0],
    )
    assert "reminder is 36" in (await examine())["worker"]


async def test_misspelt_settings_are_a_finding(examine: Examine) -> None:
    Path(".env").write_text("LIST_SHPE=array\n")
    assert (await examine())["settings"] == (
        "FAIL LIST_SHPE in .env is no setting and has no effect: did you mean LIST_SHAPE?"
    )
    Path(".env").write_text("SOMETHING_OF_ANOTHER_PROGRAM=1\n")
    assert (await examine())["settings"].startswith("ok SOMETHING_OF_ANOTHER_PROGRAM in .env")
    Path(".env").write_bytes("PORT=1".encode("utf-16"))
    assert await examine() == {"configuration": "FAIL .env is not UTF-8: save it in that encoding"}
