"""The suite on a Citus cluster: tests/citus.py."""

import re
from pathlib import Path

import asyncpg
import pytest

from tests.citus import CITUS_URL, url_at
from tests.support import Person

MARK = re.compile(r"mark\.one_server\(\"\w[^\"]+\"\)")
SELECT_SHARD = """
    select shard_name, nodename, nodeport from citus_shards
    where shardid = get_shard_id_for_distribution_column('tasks', $1::text)"""


@pytest.mark.skipif(not CITUS_URL, reason="no Citus cluster: CITUS_URL is not set")
async def test_the_service_is_on_the_cluster(alice: Person, sql: asyncpg.Connection) -> None:
    """A task that was written by a request is on a worker, in the shard of its user."""
    task = await alice.add("on a worker")
    table, host, port = await sql.fetchrow(SELECT_SHARD, alice.subject)
    assert await sql.fetchval("select groupid from pg_dist_node where nodename = $1 and nodeport = $2", host, port) != 0
    database = await sql.fetchval("select current_database()")
    worker = await asyncpg.connect(url_at(host, port, database))
    try:
        assert await worker.fetchval(f"select title from {table} where id = $1", task["id"]) == "on a worker"
    finally:
        await worker.close()


def test_few_tests_are_about_one_server() -> None:
    """Each says why."""
    tests = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__)]
    reasons = [reason for text in tests for reason in MARK.findall(text)]
    assert 0 < len(reasons) <= 15
    assert sum(text.count("mark.one_server") for text in tests) == len(reasons)
