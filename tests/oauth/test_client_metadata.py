"""Clients whose id is the URL of their metadata: fetched by https, from the public internet, within bounds."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.support import Visitor
from tests.oauth.flow import CALLBACK, Agent, Browser
from tests.oauth.publisher import Publisher, publishing
from tests.support import assert_problem

BASE = "https://todo.example"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Publisher, Path]]:
    with publishing(tmp_path) as found:
        yield found


@pytest.fixture
def publisher(site: tuple[Publisher, Path]) -> Publisher:
    return site[0]


@pytest.fixture
async def http(start: Start, site: tuple[Publisher, Path]) -> httpx.AsyncClient:
    """Starts a service that trusts the publisher's certificate and may call the loopback."""
    client = await start(public_url=BASE, base_url=BASE, outbound_allow=["127.0.0.1"], oauth_registration=False)
    transport: Any = client._transport
    transport.app.state.auth.outbound._certificates = ssl.create_default_context(cafile=str(site[1]))
    return client


@pytest.fixture
async def agent(http: httpx.AsyncClient, publisher: Publisher) -> Agent:
    found = Agent(http, BASE)
    assert (await found.discover())["client_id_metadata_document_supported"] is True
    assert found.metadata["token_endpoint_auth_methods_supported"] == ["none"]
    assert "registration_endpoint" not in found.metadata
    found.client_id = publisher.url
    return found


async def test_an_app_connects_by_the_url_of_its_metadata(agent: Agent, publisher: Publisher) -> None:
    eve = await Visitor(agent.client).register()
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    assert "an app of <strong>127.0.0.1</strong>" in browser.page
    assert "<strong>Published</strong>" in browser.page
    pair = await agent.connect(eve)
    assert (await agent.call(pair["access_token"])).status_code == 200
    assert (await agent.refresh(pair["refresh_token"])).status_code == 200
    assert publisher.requests == ["/client.json"]  # once an hour
    assert publisher.agents == {"todo"}  # many sites refuse requests without one


async def test_metadata_are_fetched_again_after_an_hour(agent: Agent, publisher: Publisher, sql: Any) -> None:
    assert (await agent.client.get(agent.authorize_url())).status_code == 200
    await sql.execute("update oauth_clients set fetched_at = now() - interval '61 minutes'")
    publisher.document["redirect_uris"] = ["https://agent.example/other"]
    assert (await agent.client.get(agent.authorize_url())).status_code == 400
    assert len(publisher.requests) == 2


async def test_a_failure_is_not_kept(agent: Agent, publisher: Publisher) -> None:
    publisher.status = 500
    assert (await agent.client.get(agent.authorize_url())).status_code == 401
    publisher.status = 200
    assert (await agent.client.get(agent.authorize_url())).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "https://127.0.0.1/client.json"}, {"client_id": None}, {"redirect_uris": []},
        {"redirect_uris": ["javascript:alert(1)"]}, {"redirect_uris": None}, {"client_secret": "x"},
        {"token_endpoint_auth_method": "client_secret_post"}, {"token_endpoint_auth_method": "private_key_jwt"},
        {"x": "y" * 20_000}, b"[]", b"{", b"\xff", b'{"client_id": "x", "client_id": "y"}', b"",
    ],
)  # fmt: skip
async def test_unacceptable_metadata_are_refused(agent: Agent, publisher: Publisher, change: Any) -> None:
    publisher.document = change if isinstance(change, bytes) else publisher.document | change
    answer = await agent.client.get(agent.authorize_url())
    assert answer.status_code in {400, 401}
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_redirect_is_not_followed(agent: Agent, publisher: Publisher) -> None:
    publisher.status, publisher.location = 302, publisher.url + "?again"
    assert (await agent.client.get(agent.authorize_url())).status_code == 401
    assert publisher.requests == ["/client.json"]


async def test_metadata_are_only_fetched_from_where_users_may_lead(
    start: Start, agent: Agent, publisher: Publisher
) -> None:
    closed = await start(public_url=BASE, base_url=BASE)
    for url in (
        publisher.url,
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://localhost/x",
        "https://2130706433/x",
        "https://127.1/x",
        "http://agent.example/x",
        "https://user@agent.example/x",
        "https://agent.example/../x",
        "https://agent.example/x#y",
    ):
        assert (await closed.get(agent.authorize_url(client_id=url))).status_code == 401, url
    assert publisher.requests == []


async def test_fetches_are_throttled_by_address(agent: Agent, publisher: Publisher) -> None:
    publisher.status = 404
    answers = [await agent.client.get(agent.authorize_url()) for _ in range(101)]
    assert {answer.status_code for answer in answers[:99]} == {401}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert len(publisher.requests) <= 100


async def test_a_client_with_metadata_needs_no_registration(agent: Agent) -> None:
    answer = await agent.client.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
    assert answer.json()["error"] == "client_registration_closed"
    assert_problem(await agent.client.get("/oauth/register"), 405)
