"""Channels over HTTP: their fields by kind, their secrets, and the channels that a task names."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.api.test_transfer import JSON, exported, imported
from tests.support import Person, assert_problem

SECRET = "tk_a-secret-token"
SERVICE = "tgram://a-secret-bot/chat"


def new_subscription(path: str = "one") -> dict[str, Any]:
    """Returns a subscription as a browser gives it."""
    public = generate_private_key(SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = {"p256dh": urlsafe_b64encode(point).decode().rstrip("="), "auth": "A" * 22}
    return {"endpoint": f"https://push.example.com/secret/{path}", "expirationTime": None, "keys": keys}


async def make(person: Person, **body: Any) -> dict[str, Any]:
    answer = await person.post("/channels", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_channel_is_created_read_updated_and_deleted(alice: Person) -> None:
    body = {"kind": "gotify", "name": "Phone", "url": "https://gotify.example.com/", "token": SECRET}
    answer = await alice.post("/channels", body)
    channel = answer.json()
    path = f"/channels/{channel['id']}"
    assert answer.headers["location"] == f"/api/{alice.subject}{path}"
    assert channel == {
        "id": channel["id"], "user_id": alice.subject, "kind": "gotify", "name": "Phone",
        "url": "https://gotify.example.com", "topic": None, "secrets": ["token"], "active": True,
        "disabled_reason": None, "all_reminders": True, "quiet_from": None, "quiet_to": None, "digest_time": None,
        "digest_days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "version": 1,
        "created_at": channel["created_at"], "updated_at": channel["created_at"],
    }  # fmt: skip
    assert (await alice.get(path)).json() == channel
    assert (await alice.get("/channels")).json() == [channel]
    changed = await alice.patch(path, {**channel, "name": "Old phone"}, headers={"If-Match": '"1"'})
    assert changed.json()["name"] == "Old phone"
    assert changed.json()["secrets"] == ["token"]
    assert_problem(await alice.patch(path, {"name": "x"}, headers={"If-Match": '"1"'}), 412, "version_conflict")
    off = (await alice.patch(path, {"active": False})).json()
    assert (off["active"], off["disabled_reason"]) == (False, "Switched off.")
    assert (await alice.patch(path, {"active": True})).json()["disabled_reason"] is None
    assert_problem(await alice.delete(path, headers={"If-Match": '"1"'}), 412, "version_conflict")
    assert (await alice.delete(path)).status_code == 204
    for again in (await alice.get(path), await alice.delete(path), await alice.patch(path, {"name": "x"})):
        assert_problem(again, 404, "channel_not_found")
    told = (await alice.get("/changes?since=1")).json()["changes"]
    assert [(c["entity"], c["action"]) for c in told] == [
        ("channel", "updated"), ("channel", "updated"), ("channel", "updated"), ("channel", "deleted"),
    ]  # fmt: skip
    assert told[0]["data"] == changed.json()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"kind": "ntfy", "topic": "t"}, {"name": "ntfy", "url": "https://ntfy.sh", "topic": "t", "secrets": []}),
        ({"kind": "ntfy", "url": "https://ntfy.sh/t"}, {"url": "https://ntfy.sh", "topic": "t"}),
        ({"kind": "ntfy", "topic": "t", "token": SECRET}, {"secrets": ["token"]}),
        ({"kind": "mail"}, {"name": "Mail", "url": None, "secrets": []}),
        (
            {"kind": "apprise", "url": "https://a.example.com/notify", "urls": [SERVICE]},
            {"name": "Apprise", "url": "https://a.example.com/notify", "secrets": ["urls"]},
        ),
        (
            {"kind": "webpush", "subscription": new_subscription()},
            {"name": "Browser", "url": "https://push.example.com", "secrets": ["subscription"]},
        ),
        (
            {"kind": "mail", "digest_time": "08:00", "digest_days": ["fri", "mon", "fri"], "active": None},
            {"digest_time": "08:00", "digest_days": ["mon", "fri"], "active": True},
        ),
    ],
)
async def test_each_kind_has_fields_of_its_own(alice: Person, body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (await make(alice, **body)).items() >= expected.items()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"kind": "ntfy"}, "channel_field_needed", "topic"),
        ({"kind": "ntfy", "url": "https://ntfy.sh/t?auth=x"}, "channel_field_needed", "topic"),
        ({"kind": "ntfy", "url": "https://ntfy.sh/" + "t" * 65}, "channel_field_needed", "topic"),
        ({"kind": "gotify", "url": "https://g.example.com"}, "channel_field_needed", "token"),
        ({"kind": "gotify", "token": "x"}, "channel_field_needed", "url"),
        ({"kind": "apprise"}, "channel_field_needed", "url"),
        ({"kind": "webpush"}, "channel_field_needed", "subscription"),
        ({"kind": "mail", "url": "https://example.com"}, "channel_field_refused", "url"),
        ({"kind": "mail", "token": "x"}, "channel_field_refused", "token"),
        ({"kind": "ntfy", "topic": "x", "urls": [SERVICE]}, "channel_field_refused", "urls"),
        ({"kind": "ntfy", "topic": "x", "url": "http://127.0.0.1/"}, "url_refused", "url"),
        ({"kind": "ntfy", "topic": "x", "url": "ftp://ntfy.sh"}, "url_refused", "url"),
        ({"kind": "mail", "quiet_from": "22:00"}, "quiet_hours_incomplete", "quiet_from"),
        ({"kind": "mail", "quiet_from": "22:00", "quiet_to": "22:00"}, "quiet_hours_incomplete", "quiet_to"),
        ({"kind": "webpush", "subscription": new_subscription(), "url": "https://x.example"},
         "channel_field_refused", "url"),
    ],
)  # fmt: skip
async def test_fields_that_do_not_fit_are_refused(alice: Person, body: dict[str, Any], code: str, field: str) -> None:
    problem = assert_problem(await alice.post("/channels", body), 422, code)
    assert problem["errors"][0]["loc"] == ["body", field]
    assert (await alice.get("/channels")).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {}, {"kind": "sms"}, {"kind": "mail", "name": " "}, {"kind": "mail", "digest_time": "24:00"},
        {"kind": "mail", "digest_time": "8:00"}, {"kind": "mail", "digest_days": []},
        {"kind": "mail", "digest_days": ["monday"]}, {"kind": "mail", "active": "yes"}, {"kind": "mail", "x": 1},
        {"kind": "ntfy", "topic": "a b"}, {"kind": "ntfy", "topic": "x" * 65}, {"kind": "ntfy", "topic": "\u00e9"},
        {"kind": "ntfy", "topic": "x", "token": "a\r\nX: y"}, {"kind": "ntfy", "topic": "x", "token": ""},
        {"kind": "apprise", "url": "https://a.example.com", "urls": []},
        {"kind": "apprise", "url": "https://a.example.com", "urls": ["no url"]},
        {"kind": "webpush", "subscription": {"endpoint": "https://push.example.com/x"}},
        {"kind": "webpush", "subscription": {**new_subscription(), "keys": {"p256dh": "x", "auth": "y"}}},
    ],
)  # fmt: skip
async def test_invalid_channels_are_refused(alice: Person, body: dict[str, Any]) -> None:
    assert_problem(await alice.post("/channels", body), 422, "validation_error")
    assert (await alice.get("/channels")).json() == []


async def test_a_key_that_is_no_point_of_the_curve_is_refused(alice: Person) -> None:
    subscription = new_subscription()
    subscription["keys"]["p256dh"] = "B" * 87
    answer = await alice.post("/channels", {"kind": "webpush", "subscription": subscription})
    assert_problem(answer, 422, "subscription_invalid")


async def test_names_are_unique_and_default_ones_are_numbered(alice: Person, bob: Person) -> None:
    first = await make(alice, kind="mail")
    assert (await make(alice, kind="mail"))["name"] == "Mail 2"
    assert_problem(await alice.post("/channels", {"kind": "mail", "name": "Mail"}), 409, "channel_name_taken")
    await make(bob, kind="mail", name="Mail")
    await alice.delete(f"/channels/{first['id']}")
    assert (await make(alice, kind="mail"))["name"] == "Mail"
    assert_problem(await alice.post("/changes/3/undo"), 409, "channel_name_taken")


async def test_a_browser_that_subscribes_again_gets_its_channel_back(alice: Person, sql: Any) -> None:
    subscription = new_subscription()
    channel = await make(alice, kind="webpush", subscription=subscription, name="Laptop")
    renewed = {**new_subscription(), "endpoint": subscription["endpoint"]}
    answer = await alice.post("/channels", {"kind": "webpush", "subscription": renewed})
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["name"]) == (channel["id"], "Laptop")
    assert len((await alice.get("/channels")).json()) == 1
    stored = await sql.fetchval("select secrets from channel_secrets where user_id = $1", alice.subject)
    assert json.loads(stored)["subscription"]["keys"] == renewed["keys"]
    await make(alice, kind="webpush", subscription=new_subscription("two"))


@pytest.mark.parametrize(
    ("reason", "active"), [("The push service responded with 410.", True), ("Switched off.", False)]
)
async def test_a_new_secret_enables_a_channel_that_failed(alice: Person, sql: Any, reason: str, active: bool) -> None:
    channel = await make(alice, kind="webpush", subscription=new_subscription())
    disable = "update channels set active = false, disabled_reason = $2 where user_id = $1"
    await sql.execute(disable, alice.subject, reason)
    path = f"/channels/{channel['id']}"
    assert (await alice.patch(path, {"name": "x"})).json()["active"] is False
    changed = (await alice.patch(path, {"subscription": new_subscription("new")})).json()
    assert changed["active"] is active


async def test_a_secret_is_in_no_response_change_or_export(alice: Person, caplog: pytest.LogCaptureFixture) -> None:
    subscription = new_subscription()
    bodies: list[dict[str, Any]] = [
        {"kind": "ntfy", "topic": "t", "token": SECRET},
        {"kind": "gotify", "url": "https://g.example.com", "token": SECRET},
        {"kind": "apprise", "url": "https://a.example.com", "urls": [SERVICE]},
        {"kind": "webpush", "subscription": subscription},
    ]
    seen = []
    for body in bodies:
        made = await alice.post("/channels", body, headers={"Idempotency-Key": body["kind"]})
        again = await alice.post("/channels", body, headers={"Idempotency-Key": body["kind"]})
        seen += [made.text, again.text]
        changed = await alice.patch(f"/channels/{made.json()['id']}", {"name": f"my {body['kind']}"})
        seen += [changed.text, (await alice.get(f"/channels/{made.json()['id']}")).text]
    refused = await alice.post(
        "/channels", {"kind": "mail", "token": SECRET, "urls": [SERVICE], "subscription": subscription}
    )
    seen += [refused.text, (await alice.post("/channels", {"kind": "ntfy", "topic": "", "token": SECRET})).text]
    seen += [(await alice.get(path)).text for path in ("/channels", "/changes", "/export")]
    seen.append((await alice.post("/changes/2/undo")).text)
    secrets = (SECRET, SERVICE, subscription["endpoint"], subscription["keys"]["p256dh"])
    assert not [secret for secret in secrets for text in [*seen, caplog.text] if secret in text]


async def test_undo_keeps_the_secret(alice: Person, sql: Any) -> None:
    stored = "select secrets ->> 'token' from channel_secrets where user_id = $1"
    channel = await make(alice, kind="ntfy", topic="t", token=SECRET)
    path = f"/channels/{channel['id']}"
    await alice.delete(path)
    assert (await alice.post("/changes/2/undo")).status_code == 200
    assert (await alice.get(path)).json()["secrets"] == ["token"]
    assert await sql.fetchval(stored, alice.subject) == SECRET
    await alice.patch(path, {"token": None, "topic": "u"})
    assert (await alice.post("/changes/4/undo")).status_code == 200
    assert (await alice.get(path)).json().items() >= {"topic": "t", "secrets": []}.items()
    assert await sql.fetchval(stored, alice.subject) is None
    await alice.delete(path)
    await alice.delete("/tasks/trash")
    assert await sql.fetchval("select count(*) from channel_secrets where user_id = $1", alice.subject) == 0


async def test_an_imported_channel_waits_for_its_secrets(alice: Person, bob: Person) -> None:
    gotify = await make(alice, kind="gotify", url="https://g.example.com", token=SECRET)
    ntfy = await make(alice, kind="ntfy", topic="t")
    await alice.add("a", remind_channels=[ntfy["id"], gotify["id"]])
    await alice.add("b", remind_channels=[])
    await alice.add("c")
    document = await exported(alice)
    report = await imported(bob, document, JSON)
    assert (report["failed"], report["created"]["channels"], report["warned"]) == (0, 2, 1)
    assert [warning["field"] for warning in report["warnings"]] == ["secrets"]
    first, second = (await bob.get("/channels")).json()
    assert (first["name"], first["active"], first["secrets"]) == ("Gotify", False, [])
    assert first["disabled_reason"] == "It comes from a file, which holds no secrets: set them."
    assert (second["name"], second["active"]) == ("ntfy", True)
    tasks = {task["title"]: task["remind_channels"] for task in (await bob.get("/tasks")).json()}
    assert tasks == {"a": [second["id"], first["id"]], "b": [], "c": None}
    assert (await imported(bob, document, JSON))["skipped"]["channels"] == 2
    assert (await bob.patch(f"/channels/{first['id']}", {"token": "new"})).json()["active"] is True


async def test_references_to_channels_that_are_not_in_the_file_are_left_out(bob: Person) -> None:
    rows = {
        "tasks": [
            {"title": "a", "id": 1, "remind_channels": [7, "x"]},
            {"title": "b", "id": 2, "remind_channels": [9, 7]},
            {"title": "c", "id": 3, "remind_channels": "all"},
        ],
        "channels": [
            {"id": "x", "name": "Phone ", "kind": "ntfy", "url": "https://ntfy.sh", "topic": "t"},
            {"id": 1, "name": "bad", "kind": "fax"},
            {"id": 2, "name": "half", "kind": "mail", "quiet_from": "22:00", "digest_time": "noon"},
            {"id": 3, "name": "no topic", "kind": "ntfy"},
        ],
    }
    report = await imported(bob, json.dumps({"format": "todo/1", **rows}).encode(), JSON)
    assert (report["created"]["tasks"], report["created"]["channels"], report["failed"]) == (3, 2, 2)
    channels = {channel["name"]: channel for channel in (await bob.get("/channels")).json()}
    assert channels.keys() == {"Phone", "half"}
    assert channels["half"].items() >= {"quiet_from": None, "digest_time": None}.items()
    tasks = {task["title"]: task["remind_channels"] for task in (await bob.get("/tasks")).json()}
    assert tasks == {"a": [channels["Phone"]["id"]], "b": None, "c": None}
    warned = {(w["entity"], w["field"]) for w in report["warnings"]}
    assert warned == {("tasks", "remind_channels"), ("channels", "quiet_from"), ("channels", "digest_time")}


async def test_a_task_names_channels_of_its_owner(alice: Person, bob: Person) -> None:
    phone, mail = await make(alice, kind="ntfy", topic="t"), await make(alice, kind="mail")
    theirs = await make(bob, kind="mail")
    task = await alice.add("a", remind_channels=[mail["id"], phone["id"], mail["id"]])
    assert task["remind_channels"] == [mail["id"], phone["id"]]
    path = f"/tasks/{task['id']}"
    assert (await alice.patch(path, {"remind_channels": [phone["id"]]})).json()["remind_channels"] == [phone["id"]]
    assert (await alice.patch(path, {"remind_channels": []})).json()["remind_channels"] == []
    for wrong in ([theirs["id"]], [phone["id"], 999_999_999]):
        for answer in (
            await alice.patch(path, {"remind_channels": wrong}),
            await alice.post("/tasks", {"title": "x", "remind_channels": wrong}),
        ):
            problem = assert_problem(answer, 422, "unknown_reference")
            assert problem["errors"][0]["loc"] == ["body", "remind_channels"]
    bulk = {"ids": [task["id"]], "action": "update", "change": {"remind_channels": [theirs["id"]]}}
    problem = assert_problem(await alice.post("/tasks/bulk", bulk), 422, "unknown_reference")
    assert problem["errors"][0]["loc"] == ["body", "change", "remind_channels"]
    bulk["change"] = {"remind_channels": [mail["id"]]}
    assert (await alice.post("/tasks/bulk", bulk)).status_code == 200
    assert (await alice.get(path)).json()["remind_channels"] == [mail["id"]]
    await alice.delete(f"/channels/{mail['id']}")
    assert_problem(await alice.post("/tasks", {"title": "x", "remind_channels": [mail["id"]]}), 422)
    whole = (await alice.get(path)).json()  # a client sends back what it got
    assert (await alice.call("PUT", path, json={**whole, "title": "z"})).json()["remind_channels"] == [mail["id"]]
    merged = {**whole, "remind_channels": [mail["id"], phone["id"]], "base_version": whole["version"]}
    assert (await alice.patch(path, merged)).json()["remind_channels"] == [mail["id"], phone["id"]]
    assert (await alice.patch(path, {"remind_channels": None})).json()["remind_channels"] is None
    invalid: list[Any] = ["all", [0], ["1"], [1.5], [*range(1, 40)]]
    for value in invalid:
        assert_problem(await alice.patch(path, {"remind_channels": value}), 422, "validation_error")


async def test_channels_of_other_users_are_404(alice: Person, bob: Person) -> None:
    path = f"/channels/{(await make(alice, kind='mail'))['id']}"
    for answer in (await bob.get(path), await bob.patch(path, {"name": "x"}), await bob.delete(path)):
        assert_problem(answer, 404, "channel_not_found")
    assert (await bob.get("/channels")).json() == []
    assert (await alice.get(path)).json()["name"] == "Mail"


async def test_the_next_digest_follows_every_write(alice: Person, sql: Any) -> None:
    async def next_digest() -> Any:
        found = "select to_char(next_digest_at at time zone 'UTC', 'HH24:MI') from channels where user_id = $1"
        return await sql.fetchval(found, alice.subject)

    channel = await make(alice, kind="mail", digest_time="08:00")
    path = f"/channels/{channel['id']}"
    assert await next_digest() == "08:00"
    assert (await alice.patch("/settings", {"timezone": "Asia/Tokyo"})).status_code == 200
    assert await next_digest() == "23:00"
    await alice.patch(path, {"active": False})
    assert await next_digest() is None
    await alice.post("/changes/2/undo")
    assert await next_digest() == "23:00"
    await alice.delete(path)
    assert await next_digest() is None
    await alice.post("/changes/4/undo")
    assert await next_digest() == "23:00"
    await alice.patch(path, {"digest_time": None})
    assert await next_digest() is None


@pytest.mark.parametrize(
    ("time", "days", "zone", "after", "expected"),
    [
        ("08:00", "{mon}", "Europe/Berlin", "2026-11-29T12:00:00Z", "2026-11-30T07:00:00Z"),
        ("08:00", "{sun}", "Europe/Berlin", "2026-11-29T12:00:00Z", "2026-12-06T07:00:00Z"),
        ("08:00", "{sun}", "Europe/Berlin", "2026-11-29T06:59:59Z", "2026-11-29T07:00:00Z"),
        ("08:00", "{sat,sun}", "Europe/Berlin", "2026-10-24T06:30:00Z", "2026-10-25T07:00:00Z"),  # the clocks go back
        ("02:30", "{sun}", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),  # 02:30 does not exist
        ("02:30", "{sun}", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z"),  # it exists twice
        ("00:00", "{mon}", "Pacific/Kiritimati", "2026-11-29T09:00:00Z", "2026-11-29T10:00:00Z"),
        ("23:59", "{sun}", "Pacific/Niue", "2026-11-30T10:00:00Z", "2026-11-30T10:59:00Z"),
    ],
)
async def test_the_next_digest_is_in_the_users_zone(
    sql: Any, time: str, days: str, zone: str, after: str, expected: str
) -> None:
    found = "select next_digest($1, $2::text::text[], $3, $4::text::timestamptz) = $5::text::timestamptz"
    assert await sql.fetchval(found, time, days, zone, after, expected)


async def test_an_import_takes_only_names_of_secrets_that_the_kind_has(alice: Person) -> None:
    names = ["\u0000", "x" * 100_000, "token", "token"]
    rows = [{"kind": "ntfy", "name": "a", "url": "https://ntfy.sh", "topic": "t", "secrets": names}]
    rows += [{"kind": "mail", "name": "b", "secrets": names}]
    document = {"format": "todo/1", "exported_at": "2026-11-01T00:00:00Z", "channels": rows}
    report = await imported(alice, json.dumps(document), JSON)
    assert (report["failed"], [each["value"] for each in report["warnings"]]) == (0, ["token"])
    assert [each["active"] for each in (await alice.get("/channels")).json()] == [False, True]


async def test_an_undo_leaves_a_browser_its_subscription_and_its_channel_writable(alice: Person) -> None:
    channel = await make(alice, kind="webpush", subscription=new_subscription())
    path = f"/channels/{channel['id']}"
    moved = {**new_subscription(), "endpoint": "https://other.example.com/secret/two"}
    changed = (await alice.patch(path, {"subscription": moved})).json()
    assert (await alice.post(f"/changes/{changed['version']}/undo")).status_code == 200
    renamed = await alice.patch(path, {"name": "Laptop"})
    assert (renamed.status_code, renamed.json()["url"]) == (200, "https://other.example.com")


async def test_a_known_subscription_is_no_field_of_other_kinds(alice: Person) -> None:
    subscription = new_subscription()
    await make(alice, kind="webpush", subscription=subscription)
    body = {"kind": "ntfy", "topic": "t", "subscription": subscription}
    assert_problem(await alice.post("/channels", body), 422, "channel_field_refused")
