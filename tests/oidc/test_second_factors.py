"""A provider of sign-ins is the first factor of an account, never its second."""

from typing import Any

import httpx

from tests.accounts.factors import FACTORS, Authenticator, long_after, with_totp
from tests.accounts.support import Visitor
from tests.oauth.flow import Browser, agent_at, query_of
from tests.oidc.browser import BASE, SignInBrowser, assert_signed_in
from tests.oidc.provider import Provider
from tests.support import assert_problem

COOKIE = "todo_second_factor"


async def linked(browser: SignInBrowser, sql: Any) -> tuple[Visitor, Authenticator, list[str]]:
    """Returns a user with an account of their own, a second factor and a link to the provider."""
    visitor = await Visitor(browser.client).register()
    app, codes = await with_totp(visitor, sql)
    answer = await browser.link(visitor)
    assert answer.status_code == 303, answer.text
    browser.cookies.clear()
    return visitor, app, codes


async def finish(browser: SignInBrowser, code: str) -> httpx.Response:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies, "Origin": BASE, "X-Refresh-Cookie": "true"}
    answer = await browser.client.post("/api/auth/login/factor", json={"code": code}, headers=headers)
    return browser._take(answer)


async def test_a_sign_in_waits_for_the_factor_in_its_browser(browser: SignInBrowser, sql: Any) -> None:
    visitor, app, _ = await linked(browser, sql)
    answer = await browser.sign_in("/app")
    assert answer.headers["location"] == "/app#second-factor=default"
    cookies = answer.headers.get_list("set-cookie")
    assert not any(cookie.startswith("todo_refresh") for cookie in cookies)
    (cookie,) = [cookie for cookie in cookies if cookie.startswith(COOKIE)]
    assert {"Secure", "HttpOnly", "SameSite=strict", "Max-Age=300"} <= {part.strip() for part in cookie.split(";")}
    assert (await browser.post("/api/auth/refresh")).status_code == 401
    assert_problem(await finish(browser, "000000"), 403, "second_factor_wrong")
    answer = await finish(browser, app.code())
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == visitor.email
    assert browser.cookies[COOKIE] in {"", '""'}
    assert (await browser.visitor()).id == visitor.id
    assert_problem(await finish(browser, app.code(1)), 401, "login_challenge_invalid")


async def test_without_a_factor_a_sign_in_needs_none(browser: SignInBrowser) -> None:
    assert_signed_in(await browser.sign_in())


async def test_another_browser_has_nothing_to_finish(browser: SignInBrowser, provider: Provider, sql: Any) -> None:
    _, app, _ = await linked(browser, sql)
    await browser.sign_in()
    assert_problem(await finish(SignInBrowser(browser.client, provider), app.code()), 401, "login_challenge_invalid")


async def test_linking_and_unlinking_need_the_factor(browser: SignInBrowser, sql: Any) -> None:
    visitor, _, codes = await linked(browser, sql)
    (link,) = (await visitor.get("/api/auth/links")).json()
    await long_after(sql, visitor)
    for method, path in (("POST", "/api/auth/oidc/default/link"), ("DELETE", f"/api/auth/links/{link['id']}")):
        assert_problem(
            await visitor.call(method, path, {} if method == "POST" else None), 403, "second_factor_required"
        )
    assert (await visitor.call("POST", f"{FACTORS}/proof", {"code": codes[0]})).status_code == 204
    assert (await visitor.call("DELETE", f"/api/auth/links/{link['id']}")).status_code == 204


async def test_the_page_of_an_app_takes_up_a_sign_in_that_waits(browser: SignInBrowser, sql: Any) -> None:
    visitor, app, _ = await linked(browser, sql)
    agent = await agent_at(browser.client, BASE)
    page = Browser(browser.client)
    url = agent.authorize_url()
    await page.open(url)
    answer = await browser.sign_in(url.removeprefix(BASE))
    assert answer.headers["location"] == f"{url.removeprefix(BASE)}#second-factor=default"
    page.cookies |= browser.cookies
    await page.send(action="waiting")
    assert "One more step" in page.page
    challenge = browser.cookies[COOKIE]
    await page.send(action="factor", challenge=challenge, code=app.code())
    assert visitor.email in page.page
    assert "code" in query_of(await page.answer())
