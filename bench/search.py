"""The cost of requests that read all of one user's 100,000 tasks: search, statistics, tags. ``python -m bench.search``

Over HTTP, one request after the other; CPU is that of server and PostgreSQL together. The user owns one half of the
tasks in the table. Then the cost of the folded text when a task is created.
"""

import asyncio
import sys
import time
from statistics import median

import asyncpg
import httpx
import jwt

from bench.contestants import ALL_CONTESTANTS, Server, running
from bench.database import Bench, bench_database
from bench.scenarios import BENCH_SECRET

SEARCH_OWNER, SEARCH_TASKS, SEARCH_ROUNDS = "searcher", 100_000, 15
# Texts of 5 and 20 words of a vocabulary of 2,000 in which the early ones are common; one word in 0.1 % of the tasks.
SEED_SEARCH = f"""
insert into users (id, revision) values ('{SEARCH_OWNER}', 1), ('other', 1);
create temp table words as
select n, (array['buy', 'call', 'write', 'plan', 'fix', 'clean', 'read', 'send', 'pay', 'book'])[1 + n % 10]
          || case when n < 10 then '' else to_hex(n * 7919 % 65536) end as word
from generate_series(0, 1999) n;
select setseed(0.42);
create temp table texts as
select k, string_agg(word, ' ' order by i) filter (where i <= 5) as title,
       string_agg(word, ' ' order by i) filter (where i > 5) as body
from (select k, i, floor(power(random(), 2) * 2000)::int as n
      from generate_series(1, {SEARCH_TASKS}) k, generate_series(1, 25) i) chosen join words using (n) group by k;
insert into tasks (user_id, title, description, completed, completed_at, priority, due_on, tags, version, created_at,
                   updated_at)
select owner, title, case when k % 3 > 0 then body || case when k % 1000 = 1 then ' Zürich' else '' end end, k % 4 = 0,
       case when k % 4 = 0 then at + interval '90 minutes' end,
       (array['none', 'low', 'medium', 'high', 'urgent'])[1 + k % 5],
       case when k % 2 = 0 then (at + (k % 60) * interval '1 day')::date end,
       (array['home', 'work', 'errands', 'bank', 'garden'])[1 + k % 3:1 + k % 5], 1, at, at
from texts, unnest(array['{SEARCH_OWNER}', 'other']) owner,
     lateral (select now() - interval '400 days' + k * interval '5 minutes' as at) moment order by k;
insert into comments (user_id, task_id, body, version)
select '{SEARCH_OWNER}', id, body, 1
from tasks join texts on k = 1 + id % {SEARCH_TASKS} where user_id = '{SEARCH_OWNER}' and k % 5 = 0;
drop table texts, words;
"""
SEARCH_QUERIES = {
    "search, a common word": "/tasks?search=plan",
    "search, two common words": "/tasks?search=plan%20call",
    "search, a word in 0.1 % of the tasks": "/tasks?search=zurich",
    "search, a word that is nowhere": "/tasks?search=xylophone",
    "by relevance, a common word": "/tasks?search=plan&sort=relevance",
    "by relevance, a word in 0.1 % of the tasks": "/tasks?search=zurich&sort=relevance",
    "statistics": "/stats",
    "tags": "/tags",
}
CREATED_TASKS = 3_000
CREATE_BY_LOOP = """
do $$ begin
    for n in 1..{creates} loop
        insert into tasks (user_id, title, description, tags, version)
        values ('other', 'Water the plants on floor ' || n, 'The large one by the window needs twice as much as the '
                || 'others do, number ' || n, array['home', 'work'], 1);
    end loop;
end $$"""


async def ask(bench: Bench, server: Server, url: str) -> tuple[float, float, int]:
    """Measures p50 and CPU per request, in milliseconds, and the rows of the first page."""
    headers = {
        "Authorization": f"Bearer {jwt.encode({'sub': SEARCH_OWNER, 'exp': int(time.time()) + 3600}, BENCH_SECRET)}"
    }
    times = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/api/me", headers=headers) as http:
        for _ in range(7):  # beyond the fifth PostgreSQL may keep one plan for all values
            (await http.get(url)).raise_for_status()
        before = bench.cpu_seconds() + server.cpu_seconds()
        for _ in range(SEARCH_ROUNDS):
            started = time.perf_counter()
            answer = await http.get(url)
            times.append((time.perf_counter() - started) * 1000)
        used = (bench.cpu_seconds() + server.cpu_seconds() - before) * 1000 / SEARCH_ROUNDS
    return median(times), used, len(answer.json())


async def create_cost(bench: Bench) -> tuple[float, float]:
    """Measures CPU microseconds of an INSERT with the folded text and without, each the best of five."""
    best: dict[bool, float] = {}
    connection = await asyncpg.connect(bench.url)
    try:
        for folded in (True, False):
            if not folded:
                await connection.execute("alter table tasks drop column search_text")
            for _ in range(5):
                before = bench.cpu_seconds()
                await connection.execute(CREATE_BY_LOOP.format(creates=CREATED_TASKS))
                used = (bench.cpu_seconds() - before) * 1e6 / CREATED_TASKS
                best[folded] = min(used, best.get(folded, used))
    finally:
        await connection.close()
    return best[True], best[False]


async def main() -> None:
    async with bench_database([SEED_SEARCH]) as bench:
        await bench.tidy()
        async with running(ALL_CONTESTANTS[0], bench.url, bench.folder) as server:
            for name, url in SEARCH_QUERIES.items():
                p50, cpu, rows = await ask(bench, server, url)
                sys.stdout.write(f"{name:<45} p50 {p50:7.1f} ms   CPU {cpu:7.1f} ms   {rows} rows\n")
                sys.stdout.flush()
        folded, bare = await create_cost(bench)
        sys.stdout.write(f"INSERT of a task: {folded:.0f} us of CPU, without the folded text {bare:.0f} us\n")


if __name__ == "__main__":
    asyncio.run(main())
