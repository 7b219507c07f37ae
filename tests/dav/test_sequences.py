"""Sequences of requests that calendar apps send for one thing that a person does, and what the apps need to go on.

Those in ``sequences/`` were read in the apps' public sources, unless a file says otherwise in ``source``; texts, names
and ids in them are invented. ``needs`` is what the app must find in a response.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.dav.apps import CalendarApp, Found, Multistatus, full_name, new_uid, unfolded
from tests.support import Person

SEQUENCES = sorted((Path(__file__).parent / "sequences").glob("*.json"))
KNOWN_NEEDS = {
    "status", "status_below", "self", "member", "every_member", "answered", "href_is_request", "calendar", "only_todo",
    "writable", "top", "holds", "holds_not", "body_has", "body_lacks", "gone", "no_member", "only_members", "differs",
    "headers", "has_header", "ok_props", "take",
}  # fmt: skip


class Player:
    """Plays the steps of one sequence; ``values`` replace the placeholders."""

    def __init__(self, app: CalendarApp, collection: str) -> None:
        self.app = app
        uid = new_uid()
        self.values = {
            "root": "/dav/",
            "principal": app.home,
            "home": app.home,
            "collection": collection,
            "new1": new_uid(),
            "uid1": uid,
            "uid2": new_uid(),
            "UID1": uid.upper(),
        }

    def fill(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: self.values[found[1]], text)

    async def play(self, step: dict[str, Any]) -> None:
        end = "\r\n" if step["method"] == "PUT" else "\n"
        body = "".join(self.fill(line) + end for line in step.get("body", ()))
        headers = {name: self.fill(value) for name, value in step.get("headers", {}).items()}
        if step.get("auth", True):
            headers |= self.app.auth
        path = self.fill(step["path"])
        for _ in range(3):
            answer = await self.app.client.request(
                step["method"], path, content=body.encode(), headers=headers, follow_redirects=False
            )
            if answer.status_code not in {301, 302, 307, 308}:
                break
            path = answer.headers["location"]
        self.check(step["needs"], answer, path)

    def check(self, needs: dict[str, Any], answer: httpx.Response, path: str) -> None:
        assert needs.keys() <= KNOWN_NEEDS, needs.keys() - KNOWN_NEEDS
        assert answer.status_code < needs.get("status_below", 500), answer.text
        if "status" in needs:
            assert answer.status_code in needs["status"], answer.text
        for name, value in needs.get("headers", {}).items():
            assert value in answer.headers[name]
        assert all(name in answer.headers for name in needs.get("has_header", ()))
        text = unfolded(answer.text)
        assert all(self.fill(each) in text for each in needs.get("body_has", ()))
        assert not any(self.fill(each) in text for each in needs.get("body_lacks", ()))
        if answer.status_code == 207:
            self.check_multistatus(needs, Multistatus(answer), path)
        for name, source in needs.get("take", {}).items():
            self.values[name] = self.read(source, answer, path)

    def check_multistatus(self, needs: dict[str, Any], found: Multistatus, path: str) -> None:
        own = found.found.get(unquote(path))
        if "self" in needs or "href_is_request" in needs:
            assert own is not None, (path, [*found.found])
        for name in needs.get("self", ()):
            assert own is not None
            assert full_name(name) in own.props, (name, own.missing)
        for href, names in needs.get("member", {}).items():
            member = found[self.fill(href)]
            assert {full_name(name) for name in names} <= member.props.keys(), (member.missing, member.status)
        members = [each for href, each in found.there.items() if href != unquote(path)]
        for name in needs.get("every_member", ()):
            assert all(full_name(name) in each.props for each in members)
        for name in needs.get("answered", ()):
            for each in found.there.values():
                assert full_name(name) in each.props.keys() | each.missing
        for name in needs.get("ok_props", ()):
            assert own is not None
            assert full_name(name) in own.props
        assert all(found.root.find(full_name(name)) is not None for name in needs.get("top", ()))
        self.check_collection(needs, found)
        data = "".join(each.data for each in members if full_name("C:calendar-data") in each.props)
        assert [each for each in needs.get("holds", ()) if self.fill(each) not in data] == []
        assert [each for each in needs.get("holds_not", ()) if self.fill(each) in data] == []
        for href in needs.get("gone", ()):
            assert unquote(self.fill(href)) in found.gone
        for href in needs.get("no_member", ()):
            assert unquote(self.fill(href)) not in found.there
        if "only_members" in needs:
            wanted = {unquote(self.fill(href)) for href in needs["only_members"]}
            assert found.there.keys() - {unquote(path)} == wanted
        for name, source in needs.get("differs", {}).items():
            assert self.value_of(source, found, path) != self.values[name]

    def check_collection(self, needs: dict[str, Any], found: Multistatus) -> None:
        def places(word: str) -> list[Found]:
            hrefs = needs.get(word, [])
            return [found[self.fill(href)] for href in ([hrefs] if isinstance(hrefs, str) else hrefs)]

        for each in places("calendar"):
            assert each.props[full_name("D:resourcetype")].find(full_name("C:calendar")) is not None
            components = each.props[full_name("C:supported-calendar-component-set")]
            assert "VTODO" in {comp.get("name") for comp in components}
        for each in places("only_todo"):
            components = each.props[full_name("C:supported-calendar-component-set")]
            assert {comp.get("name") for comp in components} == {"VTODO"}
        for each in places("writable"):
            privileges = {inner.tag for each in each.props[full_name("D:current-user-privilege-set")] for inner in each}
            assert {full_name("D:write"), full_name("D:write-content")} <= privileges

    def read(self, source: str, answer: httpx.Response, path: str) -> str:
        if source.startswith("header:"):
            value: str = answer.headers[source.removeprefix("header:")]
            return value
        return self.value_of(source, Multistatus(answer), path)

    def value_of(self, source: str, found: Multistatus, path: str) -> str:
        kind, _, rest = source.partition(":")
        if kind == "top":
            element = found.root.find(full_name(rest))
            assert element is not None
            return (element.text or "").strip()
        if kind == "self":
            return found[path].text(rest)
        href, _, name = rest.rpartition(":")
        href, _, prefix = href.rpartition(":")
        return found[self.fill(href)].text(f"{prefix}:{name}")


@pytest.mark.parametrize("file", SEQUENCES, ids=[path.stem for path in SEQUENCES])
@pytest.mark.parametrize("place", ["inbox", "project"])
async def test_an_app_finds_what_it_needs(file: Path, place: str, phone: CalendarApp, alice: Person) -> None:
    collection = phone.inbox
    if place == "project":
        made = (await alice.post("/projects", {"name": "Home"})).json()
        collection = f"{phone.home}{made['uid']}/"
    sequence = json.loads(file.read_text())
    player = Player(phone, collection)
    for number, step in enumerate(sequence["steps"], start=1):
        try:
            await player.play(step)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"step {number}, {step['method']} {step['path']}: {error!r}") from error
