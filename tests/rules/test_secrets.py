"""No secret is in the log, and none in the repository."""

import ast
import base64
import re

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.auth.signing_keys import pem_of
from app.db.connection_options import ConnectOptions
from tests.receivers import receiving
from tests.rules.prose import ROOT, tracked_files
from tests.servers import running
from tests.support import SECRET

pytestmark = pytest.mark.slow

PASSWORD, NEW_PASSWORD = "a-password-nobody-may-read-1", "a-password-nobody-may-read-2"
DATABASE_PASSWORD, SMTP_PASSWORD = "password-of-the-database", "password-of-the-mail-server"
KEY = pem_of(Ed25519PrivateKey.generate())


async def test_no_secret_is_logged_at_any_level(postgres: ConnectOptions) -> None:
    dsn = postgres.dsn.replace("//postgres@", f"//postgres:{DATABASE_PASSWORD}@")
    hidden = [SECRET, PASSWORD, NEW_PASSWORD, DATABASE_PASSWORD, SMTP_PASSWORD, KEY.splitlines()[1]]
    settings = {
        "LOG_LEVEL": "debug", "ACCESS_LOG": "true", "JWT_PRIVATE_KEY": KEY.replace("\n", "\\n"),
        "TOKEN_ALGORITHM": "EdDSA", "SMTP_URL": f"smtp://mailer:{SMTP_PASSWORD}@127.0.0.1:1",
        "WEBHOOKS_ALLOW_PRIVATE": "true", "WORKER": "inside", "SLOW_REQUEST_MS": "0",
    }  # fmt: skip
    with running(dsn, **settings) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=20) as http:
            account = {"email": "secrets@example.com", "password": PASSWORD}
            made = (await http.post("/api/auth/register", json=account)).json()
            await http.post("/api/auth/login", json={**account, "password": "guessed-and-wrong-9"})
            pair = (await http.post("/api/auth/refresh", json={"refresh_token": made["refresh_token"]})).json()
            headers = {"Authorization": f"Bearer {pair['access_token']}"}
            token = (await http.post("/api/auth/tokens", json={"name": "x", "scope": "write"}, headers=headers)).json()
            by_token = {"Authorization": f"Bearer {token['token']}", "Idempotency-Key": "key-of-a-retry-0123456789"}
            with receiving() as receiver:
                hook = await http.post("/api/me/webhooks", json={"url": receiver.url, "events": []}, headers=by_token)
                assert hook.status_code == 201, hook.text
                task = await http.post("/api/me/tasks", json={"title": "a title nobody may read"}, headers=by_token)
                assert task.status_code in (201, 422)
                await http.post("/api/me/tasks", json={"title": "a title nobody may read"}, headers=headers)
                await http.post(f"/api/me/webhooks/{hook.json()['id']}/test", headers=headers)
            await http.post("/api/auth/password/forgot", json={"email": account["email"]})
            change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
            assert (await http.put("/api/auth/password", json=change, headers=headers)).status_code < 300
            await http.get("/api/me/tasks", headers={"Authorization": f"Bearer {pair['access_token'][:-3]}abc"})
            await http.get(f"/api/me/tasks?search={PASSWORD}&token={SECRET}", headers=headers)
            await http.post("/api/auth/login", content=f'{{"password": "{PASSWORD}"'.encode())
        log = server.stop()
    hidden += [made["access_token"], made["refresh_token"], pair["access_token"], pair["refresh_token"]]
    hidden += [token["token"], hook.json()["secret"], "guessed-and-wrong-9", "a title nobody may read"]
    hidden += [part for value in hidden if value.startswith("eyJ") for part in value.split(".")[1:]]
    assert log.count("/api/auth/register") == 1
    assert [value for value in hidden if value in log] == []
    encoded = [base64.b64encode(value.encode()).decode().rstrip("=")[:-1] for value in hidden]
    assert [value for value in encoded if value in log] == []


# The formats of real secrets. Examples in tests and documents are broken on purpose, or too short.
PATTERNS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\\?n?[A-Za-z0-9+/=\s\\]{60,}",
    "an AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}",
    "a key of a model's vendor": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "a Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{40,}",
    "a Neon password": r"\bnpg_[A-Za-z0-9]{12,}",
    "a token of this service": r"\btodo_(?:pat|rt)_[A-Za-z0-9]{30,}",
}


def test_no_secret_is_in_the_repository() -> None:
    found = []
    files = [ROOT / name for name in tracked_files() if (ROOT / name).is_file()]
    assert len(files) > 100
    for path in files:
        text = path.read_text(errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {name}" for name, pattern in PATTERNS.items() if re.search(pattern, text)]
    assert found == []


def test_files_that_contain_secrets_are_not_tracked() -> None:
    names = {name.rpartition("/")[2] for name in tracked_files()}
    assert not [n for n in names if n in {".env", "jwt_secret", "jwt_ed25519.pem"} or n.endswith((".dump", ".secrets"))]
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/.env", "/data/", "*.dump", "*.dump.secrets"} <= set(ignored)


def test_the_patterns_find_secrets_of_each_format() -> None:
    samples = [
        KEY,
        "AKIA" + "A" * 16,
        "ghp_" + "a" * 36,
        "sk-ant-" + "a" * 40,
        "xoxb-" + "1" * 24,
        "sk_live_" + "a" * 24,
    ]
    samples += ["AIza" + "a" * 35, "eyJ" + "a" * 12 + ".eyJ" + "b" * 12 + "." + "c" * 43, "npg_" + "a" * 12]
    for sample in samples:
        assert any(re.search(pattern, sample) for pattern in PATTERNS.values()), sample


# It creates files, or opens them for writing. The log and the locks of the embedded server are private by themselves;
# an export opens entries of a zip that is sent.
WRITERS = {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "touch", "fdopen"}
PRIVATE_WRITERS = {"auth/private_files.py", "db/embedded/cluster.py", "db/embedded/files.py", "jobs/exporting.py"}


def opens_for_writing(call: ast.Call) -> bool:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    written = ast.unparse(call)
    if name == "open":
        return "O_CREAT" in written or any(
            isinstance(part, ast.Constant) and re.fullmatch(r"[wax][bt+]*|r[bt]*\+[bt]*", str(part.value))
            for part in [*call.args, *(keyword.value for keyword in call.keywords)]
        )
    return name in WRITERS


def test_files_are_written_only_by_the_helper_for_private_files() -> None:
    found = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = path.relative_to(ROOT / "app").as_posix()
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if name not in PRIVATE_WRITERS:
            found += [f"{name}:{call.lineno}" for call in calls if opens_for_writing(call)]
    assert found == []
