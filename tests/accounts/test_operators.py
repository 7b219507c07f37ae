"""``todo user`` and ``todo doctor`` as an operator runs them: as processes on the service's database."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.config import Settings
from tests.accounts.factors import FACTORS, challenge_of, with_totp
from tests.accounts.support import PASSWORD, Visitor
from tests.support import SECRET

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    assert settings.database_url is not None
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "JWT_SECRET": SECRET,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


async def todo(environment: dict[str, str], *arguments: str, answer: str = "") -> subprocess.CompletedProcess[bytes]:
    return await anyio.run_process(
        [sys.executable, "-m", "app", *arguments], input=answer.encode(), env=environment, check=False
    )


async def test_todo_user_creates_lists_and_disables_accounts(ann: Visitor, environment: dict[str, str]) -> None:
    new = Visitor(ann.client)
    made = await todo(environment, "user", "create", new.email, "--name", "New", answer=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    new.take(await new.login())
    assert made.stdout.decode().strip().endswith(new.id)
    again = await todo(environment, "user", "create", new.email, "--password", PASSWORD)
    assert again.returncode == 1
    assert again.stderr.decode().strip() == "todo: There is an account with this e-mail already."
    script = (await new.api_token())["token"]
    assert (await todo(environment, "user", "disable", new.email.upper())).returncode == 0
    listed = (await todo(environment, "user", "list")).stdout.decode()
    assert [line.split()[2] for line in listed.splitlines() if new.email in line] == ["disabled"]
    with anyio.fail_after(5):
        while await new.is_in() or await new.is_in(script):  # noqa: ASYNC110
            await anyio.sleep(0.1)
    assert (await todo(environment, "user", "disable", new.email, "--undo")).returncode == 0
    assert (await new.login()).status_code == 200


async def test_todo_user_removes_second_factors(ann: Visitor, environment: dict[str, str], sql: Any) -> None:
    app, codes = await with_totp(ann, sql)
    waiting = await challenge_of(ann)
    assert (await todo(environment, "user", "reset-factors", ann.email)).returncode == 0
    with anyio.fail_after(5):
        while await ann.is_in():  # noqa: ASYNC110
            await anyio.sleep(0.1)
    for code in (app.code(), codes[0]):
        body = {"challenge": waiting, "code": code}
        assert (await ann.client.post("/api/auth/login/factor", json=body)).status_code == 401
    ann.take(await ann.login())
    assert (await ann.get(FACTORS)).json() == {"totp": None, "passkeys": [], "recovery_codes_left": 0}
    nobody = await todo(environment, "user", "reset-factors", "no-account@example.com")
    assert (nobody.returncode, b"there is no account" in nobody.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "nobody"), "todo: email: Expected an e-mail address"),
        (("create", "a@example.com", "--timezone", "Berlin"), "todo: timezone: Expected"),
        (("password", "no-account@example.com"), "todo: there is no account with the e-mail no-account@example.com"),
    ],
)
async def test_todo_user_asks_for_a_password_only_when_the_rest_is_right(
    ann: Visitor, environment: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    refused = await todo(environment, "user", *arguments)
    assert refused.returncode == 1
    assert refused.stderr.decode().startswith(said)
    assert b"Password" not in refused.stdout + refused.stderr
    taken = await todo(environment, "user", "create", ann.email)
    assert taken.stderr.decode().strip() == "todo: There is an account with this e-mail already."
    assert b"Password" not in taken.stdout


async def test_todo_user_help_does_not_require_what_it_asks_for(environment: dict[str, str]) -> None:
    shown = (await todo({**environment, "COLUMNS": "200"}, "user", "create", "--help")).stdout.decode()
    (line,) = [line for line in shown.splitlines() if "--password" in line]
    assert "Asked for, twice, when left out." in line
    assert "required" not in line


async def test_todo_user_sets_passwords_and_deletes_accounts(ann: Visitor, environment: dict[str, str]) -> None:
    weak = await todo(environment, "user", "password", ann.email, "--password", "password")
    assert weak.returncode == 1
    assert b"common" in weak.stderr
    assert (await todo(environment, "user", "password", ann.email, "--password", "another battery")).returncode == 0
    assert (await ann.login()).status_code == 401
    assert (await ann.login(password="another battery")).status_code == 200
    assert (await todo(environment, "user", "delete", ann.email, answer="n\n")).returncode == 1
    assert (await todo(environment, "user", "delete", ann.email, "--yes")).returncode == 0
    missing = await todo(environment, "user", "delete", ann.email, "--yes")
    assert missing.returncode == 1
    assert b"there is no account" in missing.stderr


async def test_todo_doctor_reports_how_mail_is_sent(ann: Visitor, environment: dict[str, str]) -> None:
    for settings, words in (
        ({}, "503"),
        ({"MAIL_TO_LOG": "on"}, "to the log, reset tokens included"),
        ({"SMTP_URL": "smtps://me:hidden@mail.example"}, "by smtps://mail.example"),
    ):
        said = (await todo(environment | settings, "doctor")).stdout.decode()
        (line,) = [line for line in said.splitlines() if line[6:].startswith("mail")]
        assert words in line
        assert "hidden" not in said
        assert "registration open, tokens HS256" in said
