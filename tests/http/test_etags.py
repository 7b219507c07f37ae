"""Entity tags as clients send them back, also after a proxy that compresses has changed them."""

from typing import Any

import pytest

from app.http.etags import expected_versions
from tests.support import Person, assert_problem

# What servers make of "7" when they compress: nginx and Cloudflare; Apache; older Apache; Caddy; Jetty.
CHANGED_TAGS = ['W/"{}"', '"{}-gzip"', 'W/"{}-gzip"', '"{};gzip"', '"{}-zstd"', '"{}-br"', '"{}--gzip"', '"{}-x-gzip"']


@pytest.mark.parametrize("form", CHANGED_TAGS)
async def test_a_tag_that_a_proxy_changed_names_the_same_version(alice: Person, form: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "/tasks": {"title": "a"},
        "/projects": {"name": "a"},
        "/views": {"name": "a", "parameters": {}},
    }
    task = await alice.add()
    places[f"/tasks/{task['id']}/comments"] = {"body": "a"}
    for place, body in places.items():
        made = (await alice.post(place, body)).json()
        url, name = f"{place}/{made['id']}", next(iter(body))
        seen = form.format(made["version"])
        if place != "/views":
            assert (await alice.get(url, headers={"If-None-Match": seen})).status_code == 304
        saved = await alice.patch(url, {name: "b"}, headers={"If-Match": f'"999999", {seen}'})
        assert saved.status_code == 200, saved.text
        assert_problem(await alice.patch(url, {name: "c"}, headers={"If-Match": seen}), 412, "version_conflict")
        last = form.format(saved.json()["version"])
        assert (await alice.delete(url, headers={"If-Match": last})).status_code == 204


async def test_a_list_is_unchanged_under_a_tag_that_a_proxy_changed(alice: Person) -> None:
    await alice.add()
    for path in ("/tasks", "/tasks/trash", "/projects", "/tags"):
        tag = (await alice.get(path)).headers["etag"].removeprefix("W/").strip('"')
        for form in CHANGED_TAGS:
            assert (await alice.get(path, headers={"If-None-Match": form.format(tag)})).status_code == 304, (path, form)
    for path in ("/openapi.json", "/app"):
        tag = (await alice.client.get(path)).headers["etag"].removeprefix("W/").strip('"')
        for form in CHANGED_TAGS:
            answer = await alice.client.get(path, headers={"If-None-Match": form.format(tag)})
            assert answer.status_code == 304, (path, form)


@pytest.mark.parametrize("tag", ['"7gzip"', '"gzip"', '"-gzip"', '"7-4e1243bd22c6"', '"7-gzip-8"', '"seven"', '""'])
def test_any_other_tag_names_no_version(tag: str) -> None:
    assert expected_versions(tag) == []
