"""The channel of the kind apprise with an Apprise server, which passes each message on to a service."""

import pytest
from fastapi import FastAPI

from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace
from tests.channels.apprise_server import apprise_server
from tests.channels.reminding import deliveries, make_channel, remind, settled, until
from tests.receivers import Receiver, receiving
from tests.support import Person
from tests.workers import PATIENT, make_worker


def url_of(receiver: Receiver) -> str:
    return f"json://127.0.0.1:{receiver.port}/"


@pytest.mark.parametrize("stores_urls", [True, False], ids=["urls of the server", "urls of the channel"])
async def test_apprise_passes_a_reminder_on(anna: Person, service: FastAPI, sql: object, stores_urls: bool) -> None:
    with receiving(lambda _: 200) as one, receiving(lambda _: 200) as two:
        urls = [url_of(one), url_of(two)]
        with apprise_server({"anna": urls} if stores_urls else {}) as server:
            address = {"url": f"{server}/notify/anna"} if stores_urls else {"url": f"{server}/notify", "urls": urls}
            channel = await make_channel(anna, kind="apprise", **address)
            await remind(sql, anna, "Call mum, 100 % <b>é</b>", description="with a cake & tea")
            async with make_worker(service, pace=PATIENT):
                (told,) = await settled(anna, channel)
    assert (told["outcome"], told["status"]) == ("delivered", 200)
    for receiver in (one, two):
        (call,) = receiver.calls
        assert call.json["title"] == "Call mum, 100 % <b>é</b>"
        assert call.json["message"].startswith("with a cake & tea")


async def test_a_service_that_apprise_cannot_reach_is_tried_again(anna: Person, service: FastAPI, sql: object) -> None:
    with (
        receiving(lambda number: 500 if number < 1 else 200) as receiver,
        apprise_server({"anna": [url_of(receiver)]}) as server,
    ):
        channel = await make_channel(anna, kind="apprise", url=f"{server}/notify/anna")
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1))):
            await until(lambda: receiver.calls)
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["attempts"]) == ("delivered", 2)
    assert len(receiver.calls) == 2


async def test_a_test_says_that_nothing_is_configured(anna: Person, service: FastAPI) -> None:
    with apprise_server({}) as server:
        channel = await make_channel(anna, kind="apprise", url=f"{server}/notify/anna")
        answer = await anna.post(f"/channels/{channel['id']}/test")
    assert answer.status_code == 200
    assert (answer.json()["outcome"], answer.json()["status"]) == ("failed", 204)
    assert answer.json()["error"].startswith("The Apprise server has nothing configured under this URL")
    assert [told["kind"] for told in await deliveries(anna, channel)] == ["test"]
