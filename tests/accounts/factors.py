"""A user with an authenticator app, and the codes that it shows."""

import asyncio
import time
from base64 import b32decode
from typing import Any

import httpx

from app.domain.totp import TOTP_PERIOD, totp_code
from tests.accounts.authenticator import SoftPasskey
from tests.accounts.support import PASSWORD, Visitor

BASE, FACTORS = "https://todo.example", "/api/auth/factors"


class Authenticator:
    """An app on a user's phone."""

    def __init__(self, secret: str) -> None:
        self._secret = b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, drift: int = 0) -> str:
        return totp_code(self._secret, int(time.time() // TOTP_PERIOD) + drift)


async def wait_for_whole_step() -> None:
    """Waits for the next step if this one is about to end, for codes that depend on each other."""
    if (left := TOTP_PERIOD - time.time() % TOTP_PERIOD) < 8:
        await asyncio.sleep(left)


async def begin_totp(visitor: Visitor) -> dict[str, Any]:
    begun = await visitor.call("POST", f"{FACTORS}/totp", {"password": PASSWORD})
    assert begun.status_code == 201, begun.text
    body: dict[str, Any] = begun.json()
    return body


async def with_totp(visitor: Visitor, sql: Any) -> tuple[Authenticator, list[str]]:
    """Turns an app on; returns it and the recovery codes. The step of its first code may be used again."""
    app = Authenticator((await begin_totp(visitor))["secret"])
    confirmed = await visitor.call("POST", f"{FACTORS}/totp/confirm", {"code": app.code()})
    assert confirmed.status_code == 200, confirmed.text
    await later(sql, visitor)
    codes: list[str] = confirmed.json()["recovery_codes"]
    return app, codes


async def later(sql: Any, visitor: Visitor) -> None:
    """Lets the steps of all codes pass that were used."""
    await sql.execute("update totp_secrets set last_step = last_step - 10 where user_id = $1", visitor.id)


async def long_after(sql: Any, visitor: Visitor) -> None:
    """Lets so much time pass that no session has proved its factor lately."""
    await sql.execute(
        "update sessions set second_factor_at = second_factor_at - interval '1 hour' where user_id = $1", visitor.id
    )


async def challenge_of(visitor: Visitor) -> str:
    """Logs in with the password; returns the challenge of the second factor."""
    answer = await visitor.login()
    assert answer.status_code == 403, answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == "second_factor_required"
    challenge: str = body["second_factor"]["challenge"]
    return challenge


async def creation_options(visitor: Visitor) -> dict[str, Any]:
    answer = await visitor.call("POST", f"{FACTORS}/passkeys/options", {"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()["options"]
    return options


async def register_passkey(visitor: Visitor, passkey: SoftPasskey, name: str = "Phone") -> httpx.Response:
    body = {"name": name, "passkey": passkey.create(await creation_options(visitor))}
    return await visitor.call("POST", f"{FACTORS}/passkeys", body)


async def with_passkey(visitor: Visitor) -> tuple[SoftPasskey, list[str]]:
    passkey = SoftPasskey(BASE)
    made = await register_passkey(visitor, passkey)
    assert made.status_code == 201, made.text
    codes: list[str] = made.json()["recovery_codes"]
    return passkey, codes
