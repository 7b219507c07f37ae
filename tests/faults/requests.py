"""Requests that are cheap for the sender and must be cheap for the service."""

import asyncio
import time

from app.config import Settings
from app.main import create_app
from tests.faults.play import Fault
from tests.faults.probing import ANSWER_WITHIN, HEALTH_WITHIN, exchange, judge
from tests.faults.stage import Stage
from tests.faults.worst_requests import Operation, Writer, operations
from tests.support import SECRET, make_token

WORST = ("POST /api/auth/register", "POST /api/{user_id}/tasks")


def _operations() -> list[Operation]:
    settings = Settings(_env_file=None, database_url="postgresql:///x", jwt_secret=SECRET)
    return [each for each in operations(create_app(settings, serving=False)) if each.name in WORST]


async def send_worst_values(stage: Stage) -> float:
    """Sends each value that no body may contain once without a token and once with one."""
    headers = ((b"Authorization", f"Bearer {make_token('worst')}".encode()),)
    writer, wrong = Writer(), []
    for operation in await asyncio.to_thread(_operations):
        places: set[str] = set()
        for case in writer.cases(operation, {"user_id": "me"}):
            large = case.refused and case.body is not None and sum(map(len, case.body)) > 50_000
            if large and case.kind not in places:
                places.add(case.kind)
                token = headers if case.signed_in else ()
                answer = await asyncio.to_thread(
                    exchange, stage.service.port, operation.method, case, token, ANSWER_WITHIN
                )
                if found := judge(case, answer):
                    wrong.append(f"{case.place}: {case.kind}: {found} ({answer.status})")
    assert not wrong, wrong
    return time.monotonic()


REQUESTS = Fault("no cheap request stops the service", send_worst_values, health_within=HEALTH_WITHIN)
