"""Passkeys over HTTP, with a device in software: a login of its own, a second factor, and the attacks on both."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.accounts.authenticator import PRESENT, SoftPasskey, encode
from tests.accounts.conftest import Start
from tests.accounts.factors import (
    BASE,
    FACTORS,
    challenge_of,
    creation_options,
    long_after,
    register_passkey,
    with_passkey,
    with_totp,
)
from tests.accounts.support import PASSWORD, Visitor
from tests.support import assert_problem

LOGIN = "/api/auth/login/passkey"
Change = Callable[[SoftPasskey], Any]


@pytest.fixture
async def http(start: Start) -> httpx.AsyncClient:
    return await start(public_url=BASE, base_url=BASE)


@pytest.fixture
async def eve(http: httpx.AsyncClient) -> Visitor:
    return await Visitor(http).register(name="Eve")


class PasskeyBrowser:
    """A browser at the login page: it has a cookie of its own."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.cookie = ""

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        answer = await self.client.post(path, json=body, headers={"Cookie": self.cookie} if self.cookie else {})
        for line in answer.headers.get_list("set-cookie"):
            self.cookie = line.partition(";")[0]
        self.client.cookies.clear()
        return answer

    async def options(self) -> dict[str, Any]:
        answer = await self.post(f"{LOGIN}/options")
        assert answer.status_code == 200, answer.text
        options: dict[str, Any] = answer.json()["options"]
        return options

    async def log_in(self, passkey: SoftPasskey) -> httpx.Response:
        return await self.post(LOGIN, {"passkey": passkey.get(await self.options())})


async def waiting_options(client: httpx.AsyncClient, challenge: str) -> dict[str, Any]:
    answer = await client.post("/api/auth/login/factor/options", json={"challenge": challenge})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()["passkey_options"]
    return options


async def finish(client: httpx.AsyncClient, challenge: str, passkey: dict[str, Any]) -> httpx.Response:
    return await client.post("/api/auth/login/factor", json={"challenge": challenge, "passkey": passkey})


async def test_a_passkey_is_registered_with_the_password(eve: Visitor) -> None:
    wrong = await eve.call("POST", f"{FACTORS}/passkeys/options", {"password": "wrong"})
    assert_problem(wrong, 403, "wrong_password")
    options = await creation_options(eve)
    assert options["rp"] == {"id": "todo.example", "name": "Todo"}
    assert options["user"] == {"id": encode(eve.id.encode()), "name": eve.email, "displayName": "Eve"}
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    passkey, codes = await with_passkey(eve)
    assert len(set(codes)) == 10
    factors = (await eve.get(FACTORS)).json()
    (kept,) = factors["passkeys"]
    assert (kept["name"], kept["last_used_at"], factors["recovery_codes_left"]) == ("Phone", None, 10)
    again = await creation_options(eve)
    assert again["excludeCredentials"] == [{"type": "public-key", "id": encode(passkey.id)}]
    assert (await register_passkey(eve, SoftPasskey(BASE), "Laptop")).json()["recovery_codes"] == []


async def test_a_passkey_logs_in_alone(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    browser = PasskeyBrowser(http)
    options = await browser.options()
    assert options["allowCredentials"] == []  # it names nobody
    assert (options["rpId"], options["userVerification"]) == ("todo.example", "required")
    phone = Visitor(http)
    pair = phone.take(await browser.post(LOGIN, {"passkey": passkey.get(options)}))
    assert pair["user"]["email"] == eve.email
    await phone.api_token()  # it has proved both factors
    assert (await eve.get(FACTORS)).json()["passkeys"][0]["last_used_at"] is not None


async def test_a_passkey_is_a_second_factor(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, codes = await with_passkey(eve)
    refused = assert_problem(await eve.login(), 403, "second_factor_required")
    assert refused["second_factor"]["methods"] == ["passkey", "recovery_code"]
    challenge = refused["second_factor"]["challenge"]
    options = await waiting_options(http, challenge)
    assert options["allowCredentials"] == [{"type": "public-key", "id": encode(passkey.id)}]
    phone = Visitor(http)
    phone.take(await finish(http, challenge, passkey.get(options)))
    assert await phone.is_in()
    assert_problem(await finish(http, challenge, passkey.get(options)), 401, "login_challenge_invalid")
    body = {"challenge": await challenge_of(eve), "code": codes[0]}
    assert (await http.post("/api/auth/login/factor", json=body)).status_code == 200


async def test_a_passkey_proves_the_factor_again(eve: Visitor, sql: Any) -> None:
    passkey, _ = await with_passkey(eve)
    await long_after(sql, eve)
    refused = assert_problem(await eve.call("POST", "/api/auth/tokens", {"name": "x"}), 403, "second_factor_required")
    assert refused["second_factor"] == {"challenge": None, "methods": ["passkey", "recovery_code"]}
    options = (await eve.call("POST", f"{FACTORS}/proof/options")).json()["options"]
    proof = {"passkey": passkey.get(options)}
    assert (await eve.call("POST", f"{FACTORS}/proof", proof)).status_code == 204
    await eve.api_token()
    assert_problem(await eve.call("POST", f"{FACTORS}/proof", proof), 403, "passkey_refused")


async def test_passkeys_are_deleted_and_with_the_last_the_second_factor(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    await register_passkey(eve, SoftPasskey(BASE), "Laptop")
    first, second = (await eve.get(FACTORS)).json()["passkeys"]
    assert (await eve.call("DELETE", f"{FACTORS}/passkeys/{first['id']}")).status_code == 204
    assert_problem(await eve.call("DELETE", f"{FACTORS}/passkeys/{first['id']}"), 404, "passkey_not_found")
    assert_problem(await PasskeyBrowser(http).log_in(passkey), 403, "passkey_refused")
    assert_problem(await eve.login(), 403, "second_factor_required")
    assert (await eve.call("DELETE", f"{FACTORS}/passkeys/{second['id']}")).status_code == 204
    assert (await eve.get(FACTORS)).json() == {"totp": None, "passkeys": [], "recovery_codes_left": 0}
    assert (await eve.login()).status_code == 200


async def test_an_app_and_a_passkey_stand_side_by_side(eve: Visitor, sql: Any) -> None:
    app, codes = await with_totp(eve, sql)
    made = await register_passkey(eve, SoftPasskey(BASE))
    assert made.json()["recovery_codes"] == []
    refused = assert_problem(await eve.login(), 403, "second_factor_required")
    assert refused["second_factor"]["methods"] == ["totp", "passkey", "recovery_code"]
    assert (await eve.call("DELETE", f"{FACTORS}/totp")).status_code == 204
    assert (await eve.get(FACTORS)).json()["recovery_codes_left"] == len(codes)
    body = {"challenge": await challenge_of(eve), "code": app.code()}
    assert_problem(await eve.client.post("/api/auth/login/factor", json=body), 403, "second_factor_wrong")


async def test_another_users_passkey_is_not_deleted(eve: Visitor, http: httpx.AsyncClient) -> None:
    await with_passkey(eve)
    (kept,) = (await eve.get(FACTORS)).json()["passkeys"]
    stranger = await Visitor(http).register()
    assert_problem(await stranger.call("DELETE", f"{FACTORS}/passkeys/{kept['id']}"), 404, "passkey_not_found")
    assert len((await eve.get(FACTORS)).json()["passkeys"]) == 1


async def test_a_registration_that_began_before_the_factor_is_refused(eve: Visitor, sql: Any) -> None:
    intruder = await eve.another_device()
    passkey = SoftPasskey(BASE)
    body = {"name": "x", "passkey": passkey.create(await creation_options(intruder))}
    answer = await intruder.call_late("POST", f"{FACTORS}/passkeys", body, lambda: with_totp(eve, sql))
    assert_problem(answer, 401, "session_ended")
    assert (await eve.get(FACTORS)).json()["passkeys"] == []


async def test_a_challenge_is_good_for_one_answer(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    browser = PasskeyBrowser(http)
    options = await browser.options()
    answer = {"passkey": passkey.get(options)}
    assert (await browser.post(LOGIN, answer)).status_code == 200
    assert_problem(await browser.post(LOGIN, answer), 403, "passkey_refused")
    assert_problem(await browser.post(LOGIN, {"passkey": passkey.get(options)}), 403, "passkey_refused")


async def test_of_concurrent_answers_in_two_processes_one_succeeds(
    eve: Visitor, http: httpx.AsyncClient, start: Start
) -> None:
    passkey, _ = await with_passkey(eve)
    passkey.count = 7
    browser, other = PasskeyBrowser(http), PasskeyBrowser(await start(public_url=BASE, base_url=BASE))
    answer = {"passkey": passkey.get(await browser.options())}
    other.cookie = browser.cookie
    answers = await asyncio.gather(*(one.post(LOGIN, answer) for one in (browser, other) * 4))
    assert sorted(one.status_code for one in answers) == [200] + [403] * 7


async def test_a_challenge_belongs_to_the_browser_that_asked(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    browser, other = PasskeyBrowser(http), PasskeyBrowser(http)
    options = await browser.options()
    await other.options()
    assert_problem(await other.post(LOGIN, {"passkey": passkey.get(options)}), 403, "passkey_refused")
    assert_problem(await PasskeyBrowser(http).post(LOGIN, {"passkey": passkey.get(options)}), 403, "passkey_refused")
    assert (await browser.post(LOGIN, {"passkey": passkey.get(options)})).status_code == 200


async def test_a_challenge_is_for_what_it_was_made_for(eve: Visitor, http: httpx.AsyncClient, sql: Any) -> None:
    """Neither a proof, nor a login that waits, nor a registration can be answered with the answer to another."""
    passkey, _ = await with_passkey(eve)
    challenge, other = await challenge_of(eve), await challenge_of(eve)
    proof = (await eve.call("POST", f"{FACTORS}/proof/options")).json()["options"]
    browser = PasskeyBrowser(http)
    for options in (await waiting_options(http, challenge), proof):
        assert_problem(await browser.post(LOGIN, {"passkey": passkey.get(options)}), 403, "passkey_refused")
        assert_problem(await finish(http, other, passkey.get(options)), 403, "passkey_refused")
    answer = {"passkey": passkey.get(await browser.options())}
    assert_problem(await eve.call("POST", f"{FACTORS}/proof", answer), 403, "passkey_refused")
    new = SoftPasskey(BASE)
    created = new.create(await creation_options(eve) | {"challenge": proof["challenge"]})
    body = {"name": "x", "passkey": created}
    assert_problem(await eve.call("POST", f"{FACTORS}/passkeys", body), 403, "passkey_refused")


async def test_a_challenge_lasts_five_minutes(
    eve: Visitor, http: httpx.AsyncClient, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passkey, _ = await with_passkey(eve)
    browser = PasskeyBrowser(http)
    options = await browser.options()
    life = "select max(extract(epoch from expires_at - now()))::int from passkey_challenges"
    assert abs(await sql.fetchval(life) - 300) <= 5
    await sql.execute("update passkey_challenges set expires_at = now()")
    assert_problem(await browser.post(LOGIN, {"passkey": passkey.get(options)}), 403, "passkey_refused")
    expired = "select count(*) from passkey_challenges where expires_at <= now()"
    await sql.execute("insert into passkey_challenges values (sha256('old'), sha256('x'), now())")
    monkeypatch.setattr("app.services.accounts.passkey_answers.PASSKEY_PRUNE_SHARE", 0.0)
    await browser.options()
    assert await sql.fetchval(expired) > 0  # a flood of challenges does not make each one slow
    monkeypatch.setattr("app.services.accounts.passkey_answers.PASSKEY_PRUNE_SHARE", 1.0)
    await browser.options()
    assert await sql.fetchval(expired) == 0


HOSTILE: dict[str, Change] = {
    "another origin": lambda p: setattr(p, "origin", "https://evil.example"),
    "a subdomain": lambda p: setattr(p, "origin", "https://www.todo.example"),
    "plain http": lambda p: setattr(p, "origin", "http://todo.example"),
    "another port": lambda p: setattr(p, "origin", "https://todo.example:8443"),
    "another domain": lambda p: setattr(p, "rp_id", "evil.example"),
    "embedded in a page": lambda p: setattr(p, "cross_origin", True),
    "a device that was not unlocked": lambda p: setattr(p, "flags", PRESENT),
    "nobody there": lambda p: setattr(p, "flags", 0x04),
    "another user": lambda p: setattr(p, "handle", b"somebody"),
    "another key": lambda p: setattr(p, "_key", SoftPasskey("")._key),
    "an unknown passkey": lambda p: setattr(p, "id", b"unknown"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_answer_is_refused(eve: Visitor, http: httpx.AsyncClient, change: Change) -> None:
    passkey, _ = await with_passkey(eve)
    challenge = await challenge_of(eve)
    options = await waiting_options(http, challenge)
    change(passkey)
    assert_problem(await PasskeyBrowser(http).log_in(passkey), 403, "passkey_refused")
    assert_problem(await finish(http, challenge, passkey.get(options)), 403, "passkey_refused")


# A new passkey has the id and key that it says, and names no user.
@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if name not in {"another user", "an unknown passkey", "another key"}]
)
async def test_a_hostile_registration_is_refused(eve: Visitor, name: str) -> None:
    passkey = SoftPasskey(BASE)
    HOSTILE[name](passkey)
    assert_problem(await register_passkey(eve, passkey), 403, "passkey_refused")
    assert (await eve.get(FACTORS)).json()["passkeys"] == []


async def test_a_count_that_does_not_grow_shows_a_copy(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    browser = PasskeyBrowser(http)
    for count, accepted in ((5, True), (5, False), (4, False), (0, False), (6, True)):
        passkey.count = count
        assert (await browser.log_in(passkey)).status_code == (200 if accepted else 403), count


async def test_a_passkey_that_does_not_count_stays_good(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    for _ in range(2):
        assert (await PasskeyBrowser(http).log_in(passkey)).status_code == 200


async def test_the_passkey_of_one_account_opens_no_other(eve: Visitor, http: httpx.AsyncClient) -> None:
    stranger = await Visitor(http).register()
    theirs, _ = await with_passkey(stranger)
    await with_passkey(eve)
    challenge = await challenge_of(eve)
    options = await waiting_options(http, challenge)
    assert_problem(await finish(http, challenge, theirs.get(options)), 403, "passkey_refused")
    theirs.handle = eve.id.encode()
    assert_problem(await PasskeyBrowser(http).log_in(theirs), 403, "passkey_refused")


async def test_a_passkey_is_registered_once(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    stranger = await Visitor(http).register()
    for visitor in (eve, stranger):
        assert_problem(await register_passkey(visitor, passkey), 409, "passkey_exists")
    assert (await stranger.get(FACTORS)).json()["recovery_codes_left"] == 0


async def test_an_account_has_at_most_20_passkeys(eve: Visitor, sql: Any) -> None:
    await with_passkey(eve)
    options = await creation_options(eve)
    await sql.execute(
        "insert into passkeys (user_id, id, credential_id, public_key, sign_count, name)"
        " select $1, n::text, sha256(convert_to($1 || n, 'UTF8')), '', 0, 'x' from generate_series(1, 19) n",
        eve.id,
    )
    body = {"name": "x", "passkey": SoftPasskey(BASE).create(options)}
    assert_problem(await eve.call("POST", f"{FACTORS}/passkeys", body), 409, "too_many_passkeys")
    refused = await eve.call("POST", f"{FACTORS}/passkeys/options", {"password": PASSWORD})
    assert_problem(refused, 409, "too_many_passkeys")


async def test_a_disabled_account_is_not_opened(eve: Visitor, http: httpx.AsyncClient, sql: Any) -> None:
    passkey, _ = await with_passkey(eve)
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", eve.id)
    assert_problem(await PasskeyBrowser(http).log_in(passkey), 403, "passkey_refused")


async def test_a_wrong_answer_to_a_waiting_login_counts_as_a_wrong_code(eve: Visitor, http: httpx.AsyncClient) -> None:
    passkey, _ = await with_passkey(eve)
    challenge = await challenge_of(eve)
    options = await waiting_options(http, challenge)
    passkey.origin = "https://evil.example"
    codes = [(await finish(http, challenge, passkey.get(options))).json()["code"] for _ in range(11)]
    assert codes == ["passkey_refused"] * 10 + ["too_many_attempts"]


@pytest.mark.parametrize(
    ("public_url", "base_url"),
    [("", "http://test"), ("", "http://127.0.0.1:8000"), ("https://10.0.0.7", "https://10.0.0.7"),
     ("http://todo.example", "http://todo.example")],
)  # fmt: skip
async def test_without_a_domain_there_are_no_passkeys(start: Start, public_url: str, base_url: str) -> None:
    """A Host that anyone can send decides nothing."""
    http = await start(public_url=public_url, base_url=base_url)
    visitor = await Visitor(http).register()
    assert_problem(await http.post(f"{LOGIN}/options"), 404, "passkeys_unavailable")
    body = {"password": PASSWORD}
    assert_problem(await visitor.call("POST", f"{FACTORS}/passkeys/options", body), 404, "passkeys_unavailable")
    page = await http.get("/app", headers={"Accept": "text/html"})
    assert '<meta name="passkeys" content="off">' in page.text


async def test_on_the_own_machine_localhost_needs_no_setting(start: Start) -> None:
    http = await start(base_url="http://localhost:8000")
    visitor = await Visitor(http).register()
    passkey = SoftPasskey("http://localhost:8000")
    assert (await register_passkey(visitor, passkey)).status_code == 201
    assert passkey.rp_id == "localhost"
    assert (await PasskeyBrowser(http).log_in(passkey)).status_code == 200
    assert '<meta name="passkeys" content="on">' in (await http.get("/app")).text


GARBAGE: list[Any] = [
    {}, {"response": 7}, {"response": {}}, {"response": {"clientDataJSON": 7}},
    {"response": {"clientDataJSON": "!"}}, {"response": {"clientDataJSON": encode(b"7")}},
    {"response": {"clientDataJSON": encode(b'{"challenge": 7}')}}, {"response": {"clientDataJSON": "\u00e9"}},
    {"response": {"clientDataJSON": encode(b"[" * 3000)}},
]  # fmt: skip


async def test_garbage_is_refused(eve: Visitor, http: httpx.AsyncClient) -> None:
    browser = PasskeyBrowser(http)
    await browser.options()
    for garbage in GARBAGE:
        assert_problem(await browser.post(LOGIN, {"passkey": garbage}), 403, "passkey_refused")
        body = {"name": "x", "passkey": garbage}
        assert_problem(await eve.call("POST", f"{FACTORS}/passkeys", body), 403, "passkey_refused")


@pytest.mark.parametrize("part", ["id", "rawId", "type", "response.authenticatorData", "response.signature"])
async def test_a_damaged_answer_is_refused(eve: Visitor, http: httpx.AsyncClient, part: str) -> None:
    passkey, _ = await with_passkey(eve)
    browser = PasskeyBrowser(http)
    values: list[Any] = [None, 7, "", "!", "AAAA", [], {}, "A" * 2000]
    for value in values:
        answer = passkey.get(await browser.options())
        where = answer["response"] if part.startswith("response.") else answer
        where[part.removeprefix("response.")] = value
        assert_problem(await browser.post(LOGIN, {"passkey": answer}), 403, "passkey_refused")


async def test_the_export_names_passkeys_without_their_keys(eve: Visitor) -> None:
    await with_passkey(eve)
    export = (await eve.get("/api/auth/me/export")).json()
    (kept,) = export["factors"]["passkeys"]
    assert kept.keys() == {"id", "name", "created_at", "last_used_at"}
    assert "passkeys" not in export


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:x", "[", "[::1", "", "localhost@evil.example", "é"])
async def test_a_malformed_host_is_no_failure(ann: Visitor, host: str) -> None:
    headers = {b"Host": host.encode(), b"Authorization": f"Bearer {ann.access}".encode()}
    for path in ("/api/auth/login/passkey/options", f"{FACTORS}/totp", f"{FACTORS}/proof/options"):
        answer = await ann.client.post(path, json={"password": "wrong"}, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.text)
    assert (await ann.client.get("/app", headers=headers)).status_code in {200, 400, 421}
