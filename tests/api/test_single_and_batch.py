"""An operation leaves what its own route leaves: each verb in the same small worlds, alone and in a batch of one."""

import random
from typing import Any

import httpx
import pytest

from tests.api.test_single_and_bulk import VERBS, Outcome, Side, Verb, World, draw_world

BATCH_WORLDS = 12
OPERATIONS = {
    ("PATCH", "/tasks/{}"): "update_task",
    ("PATCH", "/tasks/{}/complete"): "complete_task",
    ("DELETE", "/tasks/{}"): "delete_task",
    ("POST", "/tasks/{}/restore"): "restore_task",
    ("POST", "/tasks/{}/move"): "move_task",
}


class BatchSide(Side):
    """A user who sends each request as a batch of one operation."""

    def __init__(self, http: httpx.AsyncClient, sql: Any, *, atomic: bool) -> None:
        super().__init__(http, sql)
        self.atomic = atomic

    async def single(self, verb: Verb, place: int) -> Outcome:
        arguments = {"task_id": self.tasks[place], **(self.filled(verb.body) or {})}
        operation = {"operation": OPERATIONS[verb.method, verb.path], "arguments": arguments}
        answer = await self.person.post("/batch", {"operations": [operation], "atomic": self.atomic})
        if answer.status_code == 200:
            result = answer.json()["results"][0]
            answer = httpx.Response(result["status"], json=result["problem"] or {})
        body = answer.json()
        for error in body.get("errors", []):
            assert error["loc"][:3] == ["body", "operations", 0]
            error["loc"] = ["body", *error["loc"][4:]]
        return await self._outcome(httpx.Response(answer.status_code, json=body), place)


async def compare_in(world: World, verb: Verb, one: Side, other: Side) -> str:
    await one.build(world)
    await other.build(world)
    alone, batched = await one.single(verb, world.target), await other.single(verb, world.target)
    if batched.problem and batched.status == "task_not_found":
        batched = batched._replace(problem=None, status="not_found")
    assert batched == alone
    return alone.status


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("name", VERBS)
async def test_an_operation_leaves_what_its_route_leaves(
    client: httpx.AsyncClient, sql: Any, name: str, atomic: bool
) -> None:
    seen = set()
    for number in range(BATCH_WORLDS):
        rng = random.Random(f"{name} {number}")
        world, verb = draw_world(rng), VERBS[name](rng)
        try:
            seen.add(await compare_in(world, verb, Side(client, sql), BatchSide(client, sql, atomic=atomic)))
        except AssertionError as error:
            error.add_note(f"{verb}\nin {world}")
            raise
    assert "done" in seen
