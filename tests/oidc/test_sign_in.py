"""Signing in with a provider: creates, links and refuses as documented."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.accounts.mail_server import text_of
from tests.accounts.support import PASSWORD, Visitor
from tests.databases import counting_waits
from tests.oidc.browser import BASE, START, SignInBrowser, assert_refused, assert_signed_in
from tests.oidc.conftest import Open
from tests.oidc.provider import EC_KEY, Provider
from tests.support import assert_problem


async def links_of(visitor: Visitor) -> list[dict[str, Any]]:
    answer = await visitor.get("/api/auth/links")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def account_with(sql: Any, provider: Provider, client: httpx.AsyncClient, *, confirmed: bool) -> Visitor:
    """Returns the user of an account with the e-mail of the provider's user."""
    visitor = await Visitor(client, provider.user["email"].upper()).register()
    if confirmed:
        await sql.execute("update accounts set email_confirmed_at = now() where user_id = $1", visitor.id)
    return visitor


async def test_the_first_sign_in_creates_an_account_and_the_second_finds_it(
    browser: SignInBrowser, provider: Provider
) -> None:
    answer = await browser.sign_in()
    assert_signed_in(answer)
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    visitor = await browser.visitor()
    account = (await visitor.get("/api/auth/me")).json()
    assert (account["email"], account["name"]) == (provider.user["email"], "Pat Doe")
    assert account["email_confirmed_at"]
    assert (await visitor.call("POST", "/api/me/tasks", {"title": "x"})).status_code == 201
    (link,) = await links_of(visitor)
    assert (link["provider"], link["email"], link["name"]) == ("default", provider.user["email"], "127.0.0.1")
    provider.user = provider.user | {"email": "moved@example.com"}
    again = await SignInBrowser(browser.client, provider).enter()
    assert again.id == visitor.id
    assert (await links_of(again))[0]["email"] == "moved@example.com"


async def test_a_sign_in_is_an_ordinary_session(browser: SignInBrowser) -> None:
    visitor = await browser.enter()
    (session,) = (await visitor.get("/api/auth/sessions")).json()
    assert session["current"]
    assert (await visitor.api_token())["token"]
    assert (await browser.post("/api/auth/logout", visitor.access)).status_code == 204
    assert not await visitor.is_in()


async def test_the_cookies_are_bound_to_host_and_https(browser: SignInBrowser, open_browser: Open) -> None:
    (cookie,) = (await browser.get(START)).headers.get_list("set-cookie")
    assert cookie.startswith("__Host-todo_sign_in=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()
    local = await open_browser(base_url="http://127.0.0.1:8000")
    (cookie,) = (await local.get(START)).headers.get_list("set-cookie")
    assert cookie.startswith("todo_sign_in=")
    assert_signed_in(await local.sign_in())


@pytest.mark.parametrize(("confirmed", "verified"), [(True, True), (True, False), (False, True), (False, False)])
async def test_an_account_is_linked_only_by_an_email_that_both_sides_call_verified(
    browser: SignInBrowser, provider: Provider, sql: Any, confirmed: bool, verified: bool
) -> None:
    """Vikunja's GHSA-xv7q: an e-mail that anyone can enter at a provider must open no account."""
    visitor = await account_with(sql, provider, browser.client, confirmed=confirmed)
    provider.user["email_verified"] = verified
    answer = await browser.sign_in()
    if confirmed and verified:
        assert_signed_in(answer)
        assert (await browser.visitor()).id == visitor.id
        assert len(await links_of(visitor)) == 1
    else:
        assert_refused(answer, 409, "log in to it as before, and link the provider there")
        assert await links_of(visitor) == []


async def test_only_true_says_that_an_email_is_verified(browser: SignInBrowser, provider: Provider, sql: Any) -> None:
    visitor = await account_with(sql, provider, browser.client, confirmed=True)
    for verified in ("true", 1, "yes", None, [True]):
        provider.user["email_verified"] = verified
        assert_refused(await browser.sign_in(), 409, "link the provider there")
    assert await links_of(visitor) == []


async def test_another_mailbox_with_the_same_key_opens_no_account(
    browser: SignInBrowser, provider: Provider, sql: Any
) -> None:
    """Spellings of one key may be mailboxes of two people, and the provider vouches for its own only."""
    mailbox = f"kim-{provider.user['sub']}@example.com"
    visitor = await Visitor(browser.client, mailbox.upper()).register()
    await sql.execute("update accounts set email_confirmed_at = now() where user_id = $1", visitor.id)
    for first in ("\u212a", "\uff4b", "\uff2b"):
        provider.user["email"] = first + mailbox[1:]
        assert_refused(await browser.sign_in(), 409, "link the provider there")
    assert await links_of(visitor) == []
    provider.user["email"] = mailbox
    assert (await browser.enter()).id == visitor.id


async def test_without_an_email_no_account_is_made(browser: SignInBrowser, provider: Provider) -> None:
    for email in (None, "", "no e-mail", 7, "a@b@c", "x" * 300 + "@example.com"):
        provider.user["email"] = email
        assert_refused(await browser.sign_in(), 403, "names no e-mail of yours that it has verified")


@pytest.mark.parametrize(("registration", "verified", "made"), [
    ("open", False, True), ("mail", True, True), ("mail", False, False), ("closed", True, False),
    ("closed", False, False),
])  # fmt: skip
async def test_registration_decides_who_may_have_a_new_account(
    open_browser: Open, provider: Provider, sql: Any, registration: str, verified: bool, made: bool
) -> None:
    browser = await open_browser(registration=registration)
    provider.user["email_verified"] = verified
    answer = await browser.sign_in()
    accounts = await sql.fetch("select * from accounts where email = $1", provider.user["email"])
    if made:
        assert_signed_in(answer)
        assert (accounts[0]["email_confirmed_at"] is not None) is verified
    else:
        assert_refused(answer, 403, "Only the operator" if verified else "no e-mail of yours that it has verified")
        assert accounts == []


async def test_closed_registration_still_lets_those_in_who_have_an_account(
    browser: SignInBrowser, open_browser: Open, provider: Provider
) -> None:
    visitor = await browser.enter()
    closed = await open_browser(registration="closed")
    assert (await closed.enter()).id == visitor.id


DOMAINS = [
    ("{}@work.example", True, 303), ("{}@WORK.example", True, 303), ("{}@sub.work.example", True, 403),
    ("{}@notwork.example", True, 403), ("{}@work.example", False, 403), ("{}@work.example@evil.example", True, 403),
]  # fmt: skip


async def test_allowed_domains_are_of_verified_emails(open_browser: Open, provider: Provider) -> None:
    browser = await open_browser(oidc_allowed_domains="@Work.Example, other.example")
    for email, verified, status in DOMAINS:
        provider.user |= {"email": email.format(provider.user["sub"]), "email_verified": verified}
        answer = await browser.sign_in()
        assert answer.status_code == status, answer.text


async def test_a_link_does_not_outlast_the_allowed_domains(
    browser: SignInBrowser, open_browser: Open, provider: Provider
) -> None:
    await browser.enter()
    strict = await open_browser(oidc_allowed_domains="work.example")
    assert_refused(await strict.sign_in(), 403, "domain of your e-mail")


async def test_the_email_may_be_in_the_userinfo(browser: SignInBrowser, provider: Provider) -> None:
    provider.userinfo = provider.user
    visitor = await browser.enter()
    assert visitor.email == provider.user["email"]
    provider.userinfo = provider.user | {"sub": "another user"}
    assert_refused(await browser.sign_in(), 403, "not valid for this sign-in")


async def test_elliptic_keys_work_and_keys_may_change(browser: SignInBrowser, provider: Provider) -> None:
    visitor = await browser.enter()
    provider.key, provider.algorithm, provider.header = EC_KEY, "ES256", {"kid": "ec"}
    assert (await browser.enter()).id == visitor.id
    provider.header = {}
    assert (await browser.enter()).id == visitor.id


async def test_a_disabled_account_stays_closed(browser: SignInBrowser, sql: Any) -> None:
    visitor = await browser.enter()
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", visitor.id)
    assert_refused(await browser.sign_in(), 403, "has been disabled")


async def test_a_user_links_a_provider_from_within_the_account(
    browser: SignInBrowser, provider: Provider, post: Any, open_browser: Open
) -> None:
    """Whatever the e-mail is: both are the user's, who is logged in to both."""
    mailing = await open_browser(smtp_url=f"smtp://127.0.0.1:{post.port}", mail_from="todo@x.test")
    visitor = await Visitor(mailing.client).register()
    provider.user |= {"email": "another@example.com", "email_verified": False}
    answer = await mailing.link(visitor)
    assert (answer.status_code, answer.headers["location"]) == (303, "/app#linked=default")
    (link,) = await links_of(visitor)
    assert link["email"] == "another@example.com"
    assert (await mailing.link(visitor)).status_code == 303  # again: nothing changes
    assert len(await links_of(visitor)) == 1
    assert (await browser.enter()).id == visitor.id
    mail = await post.next()
    assert mail["To"] == visitor.email
    assert "signing in with 127.0.0.1" in text_of(mail)


async def test_a_users_provider_cannot_be_linked_to_two_accounts(browser: SignInBrowser) -> None:
    owner = await browser.enter()
    other = await Visitor(browser.client).register()
    assert_refused(await browser.link(other), 409, "linked to another account")
    assert await links_of(other) == []
    assert (await browser.enter()).id == owner.id


async def test_a_link_is_made_only_while_its_login_lasts(browser: SignInBrowser, provider: Provider) -> None:
    visitor = await Visitor(browser.client).register()
    begun = await browser.post("/api/auth/oidc/default/link", visitor.access)
    sent = provider.authorize(begun.json()["url"])
    assert (await visitor.call("POST", "/api/auth/logout")).status_code == 204
    assert_refused(await browser.come_back(sent), 401, "session has ended")
    visitor.take(await visitor.login())
    assert await links_of(visitor) == []


async def test_a_link_is_not_made_beside_what_ends_its_login(
    browser: SignInBrowser, provider: Provider, sql: Any, postgres: Any
) -> None:
    """A reset by mail removes every link and ends every session: a link that is being made at the moment included."""
    visitor = await Visitor(browser.client).register()
    begun = await browser.post("/api/auth/oidc/default/link", visitor.access)
    sent = provider.authorize(begun.json()["url"])
    async with counting_waits(postgres) as count, asyncio.TaskGroup() as tasks, sql.transaction():
        await sql.execute("update accounts set password_hash = 'x' where user_id = $1", visitor.id)
        await sql.execute("update sessions set ended_at = now() where user_id = $1", visitor.id)
        task = tasks.create_task(browser.come_back(sent))
        async with asyncio.timeout(60):
            while not await count() and not task.done():  # noqa: ASYNC110 - of the database
                await asyncio.sleep(0.02)
    assert_refused(task.result(), 401, "session has ended")
    assert await sql.fetchval("select count(*) from oidc_links where user_id = $1", visitor.id) == 0


async def test_only_a_login_links_and_unlinks(browser: SignInBrowser) -> None:
    visitor = await browser.enter()
    token = (await visitor.api_token(scope="write"))["token"]
    (link,) = await links_of(visitor)
    for method, path in (
        ("POST", "/api/auth/oidc/default/link"), ("GET", "/api/auth/links"), ("DELETE", f"/api/auth/links/{link['id']}")
    ):  # fmt: skip
        assert_problem(await visitor.call(method, path, token=token), 403, "login_required")
    stranger = await Visitor(browser.client).register()
    assert_problem(await stranger.call("DELETE", f"/api/auth/links/{link['id']}"), 404, "link_not_found")


async def test_the_last_way_to_log_in_cannot_be_removed(browser: SignInBrowser, provider: Provider, sql: Any) -> None:
    visitor = await browser.enter()
    (link,) = await links_of(visitor)
    path = f"/api/auth/links/{link['id']}"
    assert_problem(await visitor.call("DELETE", path), 409, "last_login")
    insert = "insert into oidc_links (user_id, id, provider, issuer, subject) values ($1, 'two', $2, 'x', $1)"
    await sql.execute(insert, visitor.id, "removed by the operator")
    assert_problem(await visitor.call("DELETE", path), 409, "last_login")
    await sql.execute("update oidc_links set provider = 'default' where user_id = $1 and id = 'two'", visitor.id)
    answers = await asyncio.gather(*(visitor.call("DELETE", p) for p in (path, "/api/auth/links/two")))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    with_password = await Visitor(browser.client).register()
    provider.user |= {"sub": with_password.id, "email": "x@example.com"}
    await browser.link(with_password)
    (link,) = await links_of(with_password)
    assert (await with_password.call("DELETE", f"/api/auth/links/{link['id']}")).status_code == 204
    assert (await with_password.login()).status_code == 200


async def test_a_reset_by_mail_removes_links_that_another_may_have_made(
    browser: SignInBrowser, provider: Provider, sql: Any
) -> None:
    """An account under a stranger's e-mail must not stay open to its maker once the owner of the mailbox resets it."""
    squatter = await Visitor(browser.client).register()
    await browser.link(squatter)
    token = "todo_reset_x" + squatter.id
    await sql.execute(
        "insert into password_resets (user_id, token_hash, expires_at)"
        " values ($1, sha256($2::text::bytea), now() + interval '1 hour')",
        squatter.id, token,
    )  # fmt: skip
    reset = {"token": token, "new_password": PASSWORD + "!"}
    assert (await browser.client.post("/api/auth/password/reset", json=reset)).status_code == 204
    assert (await browser.enter()).id != squatter.id


async def test_export_and_erasure_have_the_links(browser: SignInBrowser, provider: Provider, sql: Any) -> None:
    visitor = await Visitor(browser.client).register()
    await browser.link(visitor)
    exported = (await visitor.get("/api/auth/me/export")).json()
    assert [link["subject"] for link in exported["links"]] == [provider.user["sub"]]
    await browser.post("/api/auth/oidc/default/link", visitor.access)
    assert (await visitor.call("DELETE", "/api/auth/me", {"password": PASSWORD})).status_code == 204
    assert not await sql.fetch("select from oidc_links where user_id = $1", visitor.id)
    assert not await sql.fetch("select from oidc_sign_ins where linking_user_id = $1", visitor.id)


async def test_several_providers_have_each_their_button(open_browser: Open, provider: Provider) -> None:
    other = {"id": "work", "issuer": "https://auth.work.example/", "client_id": "x", "name": "Work <b>"}
    browser = await open_browser(oidc_providers=[other], oidc_name="Home", base_url=f"{BASE}/sub")
    found = (await browser.get("/api/auth/oidc")).json()
    assert found == [
        {"id": "default", "name": "Home", "start_path": "/sub/api/auth/oidc/default/start"},
        {"id": "work", "name": "Work <b>", "start_path": "/sub/api/auth/oidc/work/start"},
    ]
    assert (await browser.get("/api/auth/oidc/none/start")).status_code == 404


async def test_the_provider_ends_its_login_if_it_can(browser: SignInBrowser, provider: Provider) -> None:
    answer = await browser.get("/api/auth/oidc/default/logout")
    assert answer.status_code == 303
    assert answer.headers["location"] == (
        f"{provider.issuer}/logout?client_id=todo+client&post_logout_redirect_uri=https%3A%2F%2Ftodo.example%2Fapp"
    )


async def test_a_provider_without_a_logout_leads_home(browser: SignInBrowser, provider: Provider) -> None:
    provider.changes = {"end_session_endpoint": None}
    answer = await browser.get("/api/auth/oidc/default/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE}/app")
