"""Authenticator apps and recovery codes: set up, used once, renewed, turned off."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.factors import (
    FACTORS,
    Authenticator,
    begin_totp,
    challenge_of,
    later,
    wait_for_whole_step,
    with_totp,
)
from tests.accounts.mail_server import MailServer
from tests.accounts.support import PASSWORD, Visitor, settled
from tests.support import assert_problem


async def finish(visitor: Visitor, challenge: str, code: str) -> httpx.Response:
    body = {"challenge": challenge, "code": code}
    return await visitor.client.post("/api/auth/login/factor", json=body)


async def test_an_account_begins_without_a_second_factor(ann: Visitor) -> None:
    assert (await ann.get(FACTORS)).json() == {"totp": None, "passkeys": [], "recovery_codes_left": 0}


async def test_an_app_is_set_up_with_the_password_and_confirmed_by_a_code(ann: Visitor, sql: Any) -> None:
    assert_problem(await ann.call("POST", f"{FACTORS}/totp", {"password": "wrong"}), 403, "wrong_password")
    assert_problem(await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": "000000"}), 409, "totp_not_begun")
    answer = await ann.call("POST", f"{FACTORS}/totp", {"password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    begun = answer.json()
    assert begun["uri"].startswith(f"otpauth://totp/Todo%20%28test%29:{ann.email}?secret={begun['secret']}")
    assert begun["qr_code"]["size"] > 21
    assert (await ann.login()).status_code == 200  # nothing is needed before it is confirmed
    app = Authenticator(begun["secret"])
    assert_problem(await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": "000000"}), 403, "second_factor_wrong")
    first = app.code()
    confirmed = await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": first})
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([2-9a-z]{4}-){3}[2-9a-z]{4}", code) for code in codes)
    factors = (await ann.get(FACTORS)).json()
    assert factors["recovery_codes_left"] == 10
    assert factors["totp"]["last_used_at"] is None
    assert_problem(await ann.call("POST", f"{FACTORS}/totp", {"password": PASSWORD}), 409, "totp_active")
    assert_problem(await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": app.code()}), 409, "totp_not_begun")
    challenge = await challenge_of(ann)
    assert_problem(await finish(ann, challenge, first), 403, "second_factor_wrong")


async def test_the_longest_host_fits_into_the_qr_code(ann: Visitor) -> None:
    headers = {"Host": "h" * 1_900}
    begun = await ann.call("POST", f"{FACTORS}/totp", {"password": PASSWORD}, headers=headers)
    assert begun.status_code == 201, begun.text
    assert "h" * 253 + "%29" in begun.json()["uri"]


async def test_a_set_up_that_is_not_confirmed_is_replaced_and_ends_after_15_minutes(ann: Visitor, sql: Any) -> None:
    old, new = [Authenticator((await begin_totp(ann))["secret"]) for _ in range(2)]
    assert_problem(await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": old.code()}), 403, "second_factor_wrong")
    age = "update totp_secrets set created_at = created_at - interval '16 minutes' where user_id = $1"
    await sql.execute(age, ann.id)
    assert_problem(await ann.call("POST", f"{FACTORS}/totp/confirm", {"code": new.code()}), 409, "totp_not_begun")


async def test_turning_on_a_factor_ends_other_logins_and_keeps_this_one(ann: Visitor, sql: Any) -> None:
    phone = await ann.another_device()
    script = (await ann.api_token())["token"]
    await with_totp(ann, sql)
    assert not await phone.is_in()
    assert await ann.is_in()
    assert await ann.is_in(script)


async def test_a_login_waits_for_a_code(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    refused = assert_problem(await ann.login(), 403, "second_factor_required")
    assert refused["second_factor"]["methods"] == ["totp", "recovery_code"]
    challenge = refused["second_factor"]["challenge"]
    assert_problem(await finish(ann, challenge, "000000"), 403, "second_factor_wrong")
    shown = app.code()
    phone = Visitor(ann.client, ann.email)
    phone.take(await finish(ann, challenge, f" {shown[:3]} {shown[3:]} "))
    assert await phone.is_in()
    assert await ann.is_in()
    assert (await ann.get(FACTORS)).json()["totp"]["last_used_at"] is not None
    assert_problem(await finish(ann, challenge, app.code(1)), 401, "login_challenge_invalid")


@pytest.mark.parametrize("drift", [-1, 0, 1])
async def test_a_code_is_good_for_one_use(ann: Visitor, sql: Any, drift: int) -> None:
    app, _ = await with_totp(ann, sql)
    await wait_for_whole_step()
    code = app.code(drift)
    assert (await finish(ann, await challenge_of(ann), code)).status_code == 200
    again = await challenge_of(ann)
    for used in (code, app.code(drift - 1)):  # nor one of before
        assert_problem(await finish(ann, again, used), 403, "second_factor_wrong")
        assert_problem(await ann.call("POST", f"{FACTORS}/proof", {"code": used}), 403, "second_factor_wrong")


async def test_of_concurrent_uses_in_two_processes_one_succeeds(ann: Visitor, sql: Any, start: Start) -> None:
    app, codes = await with_totp(ann, sql)
    processes = [ann.client, await start()]
    for code in (app.code(), codes[0]):
        challenges = [await challenge_of(ann) for _ in range(8)]
        answers = await asyncio.gather(
            *(
                finish(Visitor(processes[number % 2], ann.email), challenge, code)
                for number, challenge in enumerate(challenges)
            )
        )
        assert sorted(answer.status_code for answer in answers)[0] == 200
        assert [answer.status_code for answer in answers].count(200) == 1
        assert {answer.status_code for answer in answers} <= {200, 403, 429}


async def test_of_concurrent_uses_of_a_challenge_one_succeeds(ann: Visitor, sql: Any, start: Start) -> None:
    _, codes = await with_totp(ann, sql)
    other = Visitor(await start(), ann.email)
    challenge = await challenge_of(ann)
    answers = await asyncio.gather(
        *(finish([ann, other][number % 2], challenge, code) for number, code in enumerate(codes[:6]))
    )
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers} == {200, 401}
    assert (await ann.get(FACTORS)).json()["recovery_codes_left"] == 9  # the others were not used up


async def test_a_recovery_code_replaces_the_app_once(ann: Visitor, sql: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, codes = await with_totp(ann, sql)
    typed = codes[0].upper().replace("-", " ")
    assert (await finish(ann, await challenge_of(ann), typed)).status_code == 200
    assert "recovery_code_used" in caplog.text
    assert (await ann.get(FACTORS)).json()["recovery_codes_left"] == 9
    again = await challenge_of(ann)
    assert_problem(await finish(ann, again, codes[0]), 403, "second_factor_wrong")
    assert (await finish(ann, again, codes[1])).status_code == 200


async def test_recovery_codes_are_renewed(ann: Visitor, sql: Any) -> None:
    assert_problem(await ann.call("POST", f"{FACTORS}/recovery-codes"), 404, "factor_not_found")
    _, old = await with_totp(ann, sql)
    answer = await ann.call("POST", f"{FACTORS}/recovery-codes")
    assert answer.status_code == 201
    new = answer.json()["recovery_codes"]
    assert len({*old, *new}) == 20
    challenge = await challenge_of(ann)
    assert_problem(await finish(ann, challenge, old[0]), 403, "second_factor_wrong")
    assert (await finish(ann, challenge, new[0])).status_code == 200


async def test_no_code_is_stored_in_clear(ann: Visitor, sql: Any) -> None:
    _, codes = await with_totp(ann, sql)
    challenge = await challenge_of(ann)
    rows = await sql.fetch("select code_hash from recovery_codes where user_id = $1", ann.id)
    assert {len(row["code_hash"]) for row in rows} == {32}
    stored = str(await sql.fetch("select * from recovery_codes natural full join login_challenges"))
    for secret in (challenge, *codes, *(code.replace("-", "") for code in codes)):
        assert secret not in stored


async def test_turning_the_app_off_deletes_its_codes(ann: Visitor, sql: Any) -> None:
    assert_problem(await ann.call("DELETE", f"{FACTORS}/totp"), 404, "factor_not_found")
    app, codes = await with_totp(ann, sql)
    waiting = await challenge_of(ann)
    assert (await ann.call("DELETE", f"{FACTORS}/totp")).status_code == 204
    assert (await ann.get(FACTORS)).json() == {"totp": None, "passkeys": [], "recovery_codes_left": 0}
    assert (await ann.login()).status_code == 200
    for code in (app.code(), codes[0]):
        assert_problem(await finish(ann, waiting, code), 401, "login_challenge_invalid")
        assert_problem(await ann.call("POST", f"{FACTORS}/proof", {"code": code}), 404, "factor_not_found")
    again, _ = await with_totp(ann, sql)
    assert (await finish(ann, await challenge_of(ann), again.code())).status_code == 200


async def test_the_owner_learns_by_mail(mailing: httpx.AsyncClient, post: MailServer, sql: Any) -> None:
    eve = await Visitor(mailing).register()
    _, codes = await with_totp(eve, sql)
    assert (await finish(eve, await challenge_of(eve), codes[0])).status_code == 200
    await eve.call("POST", f"{FACTORS}/recovery-codes")
    await eve.call("DELETE", f"{FACTORS}/totp")
    await settled(mailing)
    subjects = {(await post.next())["Subject"] for _ in range(4)}
    assert subjects == {
        "A second factor was added", "A recovery code was used",
        "New recovery codes were made", "A second factor was removed",
    }  # fmt: skip


async def test_the_export_says_which_factors_there_are(ann: Visitor, sql: Any) -> None:
    _, codes = await with_totp(ann, sql)
    export = await ann.get("/api/auth/me/export")
    assert export.json()["factors"] == (await ann.get(FACTORS)).json()
    assert codes[0] not in export.text
    assert "totp_secrets" not in export.json()


async def test_later_codes_count_from_the_last_one(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    assert (await finish(ann, await challenge_of(ann), app.code(1))).status_code == 200
    challenge = await challenge_of(ann)
    assert_problem(await finish(ann, challenge, app.code(0)), 403, "second_factor_wrong")
    await later(sql, ann)
    assert (await finish(ann, challenge, app.code(0))).status_code == 200
