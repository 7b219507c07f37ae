"""The page on which an app is connected asks for the second factor of an account that has one."""

import json
from typing import Any

import httpx
import pytest

from app.services.accounts.login_throttle import FREE_PER_PAIR
from tests.accounts.conftest import Start
from tests.accounts.factors import BASE, Authenticator, long_after, with_passkey, with_totp
from tests.accounts.support import Visitor
from tests.oauth.flow import Agent, Browser, agent_at, field, query_of


@pytest.fixture
async def http(start: Start) -> httpx.AsyncClient:
    return await start(public_url=BASE, base_url=BASE)


@pytest.fixture
async def eve(http: httpx.AsyncClient) -> Visitor:
    return await Visitor(http).register(name="Eve")


@pytest.fixture
async def phone(eve: Visitor, sql: Any) -> Authenticator:
    return (await with_totp(eve, sql))[0]


@pytest.fixture
async def agent(http: httpx.AsyncClient) -> Agent:
    return await agent_at(http, BASE)


@pytest.fixture
async def page(agent: Agent) -> Browser:
    opened = Browser(agent.client)
    await opened.open(agent.authorize_url())
    return opened


async def enter(page: Browser, code: str, **fields: str) -> httpx.Response:
    """Sends the form for the code, with the fields that the page has hidden in it."""
    names = [name for name in ("challenge", "access_token", "started") if f'name="{name}"' in page.page]
    return await page.send(action="factor", code=code, **{name: field(page.page, name) for name in names}, **fields)


async def test_a_login_on_the_page_waits_for_the_code(
    page: Browser, eve: Visitor, phone: Authenticator, agent: Agent
) -> None:
    answer = await page.log_in(eve)
    assert (answer.status_code, "One more step" in page.page) == (200, True)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert eve.email not in page.page
    assert 'value="allow"' not in page.page
    wrong = await enter(page, "000000")
    assert (wrong.status_code, "is wrong" in page.page) == (403, True)
    assert (await enter(page, phone.code())).status_code == 200
    assert eve.email in page.page
    code = query_of(await page.answer())["code"]
    assert (await agent.exchange(code)).status_code == 200
    assert len((await eve.get("/api/auth/sessions")).json()) == 1  # the login of the page has ended


async def test_a_wrong_password_says_nothing_of_a_factor(page: Browser, eve: Visitor, phone: Authenticator) -> None:
    answer = await page.log_in(eve, "a wrong guess")
    assert answer.status_code == 401
    assert "One more step" not in page.page


async def test_the_login_of_the_web_client_must_have_proved_it_lately(
    page: Browser, eve: Visitor, phone: Authenticator, sql: Any
) -> None:
    await page.send(action="session", access_token=eve.access)
    assert 'value="allow"' in page.page  # it has just turned the factor on
    await long_after(sql, eve)
    await page.answer()
    assert "One more step" in page.page
    assert (await enter(page, "000000")).status_code == 403
    assert (await enter(page, phone.code())).status_code == 200
    assert 'value="allow"' in page.page
    assert "code" in query_of(await page.answer())
    await long_after(sql, eve)
    await page.open(page.url)
    await page.send(action="session", access_token=eve.access)
    assert "One more step" in page.page
    await page.send(action="other", access_token=field(page.page, "access_token"))
    assert "Password" in page.page


async def test_nothing_is_allowed_without_the_code(page: Browser, eve: Visitor, phone: Authenticator, sql: Any) -> None:
    await long_after(sql, eve)
    for fields in ({"access_token": eve.access}, {"access_token": eve.access, "started": "1", "scope": "write"}):
        answer = await page.send(action="allow", **fields)
        assert "location" not in answer.headers
        assert "One more step" in page.page
    assert not await sql.fetch("select from oauth_codes where user_id = $1", eve.id)


async def test_a_finished_login_cannot_be_finished_again(page: Browser, eve: Visitor, phone: Authenticator) -> None:
    await page.log_in(eve)
    challenge = field(page.page, "challenge")
    await enter(page, phone.code())
    answer = await page.send(action="factor", challenge=challenge, code=phone.code(1))
    assert (answer.status_code, "log in again" in page.page) == (401, True)
    assert "Password" in page.page


async def test_wrong_codes_are_throttled_on_the_page_too(page: Browser, eve: Visitor, phone: Authenticator) -> None:
    await page.log_in(eve)
    for _ in range(FREE_PER_PAIR):
        assert (await enter(page, "000000")).status_code == 403
    answer = await enter(page, phone.code())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "Wait 1 s." in page.page


async def test_without_a_waiting_sign_in_the_page_asks_to_log_in_again(page: Browser, phone: Authenticator) -> None:
    answer = await page.send(action="waiting")
    assert (answer.status_code, "Password" in page.page) == (401, True)


async def test_a_forged_code_is_refused(page: Browser, eve: Visitor, phone: Authenticator) -> None:
    await page.log_in(eve)
    answer = await enter(page, phone.code(), origin="https://evil.example")
    assert answer.status_code == 403
    assert eve.email not in page.page


async def ask(page: Browser, path: str, body: Any = None, token: str = "") -> dict[str, Any]:
    """Asks for the options of a passkey like the script of the page."""
    headers = page._headers() | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = await page.client.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    page.cookies |= dict(answer.cookies)
    found = answer.json()
    options: dict[str, Any] = found.get("passkey_options") or found["options"]
    return options


async def test_a_passkey_alone_logs_in_on_the_page(page: Browser, eve: Visitor) -> None:
    passkey, _ = await with_passkey(eve)
    answer = passkey.get(await ask(page, "/api/auth/login/passkey/options"))
    assert (await page.send(action="passkey", passkey=json.dumps(answer))).status_code == 200
    assert eve.email in page.page
    assert "code" in query_of(await page.answer())
    assert len((await eve.get("/api/auth/sessions")).json()) == 1  # the login of the page has ended


async def test_a_passkey_is_the_second_factor_on_the_page(page: Browser, eve: Visitor, sql: Any) -> None:
    passkey, _ = await with_passkey(eve)
    await page.log_in(eve)
    challenge = field(page.page, "challenge")
    options = await ask(page, "/api/auth/login/factor/options", {"challenge": challenge})
    origin, passkey.origin = passkey.origin, "https://evil.example"
    wrong = await page.send(action="factor", challenge=challenge, passkey=json.dumps(passkey.get(options)))
    assert (wrong.status_code, "was not accepted" in page.page) == (403, True)
    passkey.origin = origin
    options = await ask(page, "/api/auth/login/factor/options", {"challenge": challenge})
    await page.send(action="factor", challenge=challenge, passkey=json.dumps(passkey.get(options)))
    assert eve.email in page.page
    token = field(page.page, "access_token")
    await long_after(sql, eve)
    await page.answer()
    assert "One more step" in page.page
    options = await ask(page, "/api/auth/factors/proof/options", token=token)
    fields = {"access_token": token, "started": "1", "passkey": json.dumps(passkey.get(options))}
    await page.send(action="factor", **fields)
    assert "code" in query_of(await page.answer())


@pytest.mark.parametrize("sent", ["", "7", "{", "[" * 1500, '{"response": {}}'])
async def test_a_damaged_passkey_on_the_page_asks_to_log_in_again(page: Browser, eve: Visitor, sent: str) -> None:
    await with_passkey(eve)
    await ask(page, "/api/auth/login/passkey/options")
    answer = await page.send(action="passkey", passkey=sent)
    assert (answer.status_code, "was not accepted" in page.page) == (403, True)
    await page.log_in(eve)
    answer = await page.send(action="factor", challenge=field(page.page, "challenge"), passkey=sent or "0")
    assert (answer.status_code, "was not accepted" in page.page) == (403, True)
    assert "One more step" in page.page
