"""Tasks of a few users who have many, among those of many users who have ten, made by SQL."""

import sys
import time
from typing import NamedTuple

import asyncpg

from bench.database import Bench

EACH = 10  # tasks of one of the others
PROJECTS = 8  # of one user at most
# Without triggers: foreign keys hold by the way rows are made, and ten million checks of them would wait in memory.
SETTINGS = """
set session_replication_role = replica; set maintenance_work_mem = '1GB'; set work_mem = '256MB';
select setseed(0.42)"""
OWNERS = f"""
insert into owners select n, md5(n::text), {EACH} from generate_series(1, $3::bigint) n
union all select $3 + n, name, size from unnest($1::text[], $2::int[]) with ordinality them (name, size, n)"""
USERS = f"""
insert into users (id, revision, created_at) select owner, tasks, now() - interval '2 years' from owners;
insert into projects (user_id, id, name, version) overriding system value
select owner, n * {PROJECTS} + p, 'Project ' || p, 0 from owners, generate_series(1, least({PROJECTS}, tasks / 5)) p"""
# In the order in which they were created, by whomever: a page of one user's is all over the table, as it is in life. Of
# the last month half are open, of the older ones one in 200. One in fifty is in the trash, not yet due to leave it.
TASKS = f"""
insert into tasks (user_id, title, description, completed, completed_at, priority, due_on, due_at, tags, project_id,
                   version, created_at, updated_at, deleted_at)
select owner,
       (array['Call', 'Write to', 'Ask', 'Pay', 'Visit', 'Remind', 'Thank', 'Plan with'])[1 + floor(a * 8)::int] || ' '
       || (array['the plumber', 'the bank', 'Ann', 'Bob', 'the school', 'the landlord', 'the dentist', 'the office',
                 'the tax adviser', 'the neighbours'])[1 + floor(b * 10)::int] || ' about ' || to_hex(n * 7919 + k),
       case when k % 1000 = 500 then 'Bring the papers from Zürich'
            when c < 0.3 then repeat('As agreed, and not later than last time. ', 1 + floor(c * 10)::int) end,
       done, case when done then least(at + d * interval '3 days', now()) end,
       (array['none', 'low', 'medium', 'high', 'urgent'])[1 + floor(e * 5)::int],
       case when f < 0.3 then (at + d * interval '30 days')::date end,
       case when f >= 0.3 and f < 0.4 then date_trunc('minute', at + d * interval '30 days') end,
       case when k % 1000 = 250 then array['taxes']
            else (array['home', 'work', 'errands', 'garden', 'family', 'next week'])
                 [1 + floor(a * 6)::int:floor(a * 6)::int + floor(g * 4)::int] end,
       case when e < 0.7 then n * {PROJECTS} + 1 + floor(b * least({PROJECTS}, tasks / 5))::int end,
       k, at, at, case when h < 0.02 then greatest(at, now() - h * interval '1000 days') end
from (select *, random() < case when at > now() - interval '30 days' then 0.5 else 0.995 end as done, random() as a,
             random() as b, random() as c, random() as d, random() as e, random() as f, random() as g, random() as h
      from (select n, owner, k, tasks, now() - (tasks - k + random()) / tasks * interval '2 years' as at
            from owners, generate_series(1, tasks) k order by at) in_order offset 0) drawn"""
CHANGES = """
insert into changes (user_id, revision, entity, entity_id, action, data, at)
select user_id, version, 'task', id, 'created',
       to_jsonb(tasks) - '{due_sort,completed_sort,priority_sort,title_sort,search_text}'::text[], created_at
from tasks"""
COMMENTS = """
insert into comments (user_id, task_id, body, version)
select user_id, id, 'Asked again on ' || created_at::date, version from tasks
where user_id = any($1::text[]) and version % 50 = 0"""
# Filling first and indexing then, by the definitions that the migrations gave, takes half the time.
INDEXES = """
select format('drop index %s', i.indexrelid::regclass) as drop, pg_get_indexdef(i.indexrelid) as make
from pg_index i left join pg_constraint c on c.conindid = i.indexrelid
where i.indrelid in ('tasks'::regclass, 'changes'::regclass) and c.oid is null
union all select format('alter table changes drop constraint %I', conname),
                 format('alter table changes add constraint %I %s', conname, pg_get_constraintdef(oid))
from pg_constraint where conrelid = 'changes'::regclass and contype = 'p'"""


class Heavy(NamedTuple):
    """A user with many tasks."""

    owner: str
    tasks: int


async def fill(bench: Bench, heavy: list[Heavy], others: int) -> None:
    """``heavy`` users, and ``others`` with EACH tasks; each task with its change."""
    started = time.monotonic()

    def progress(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - started:6.0f} s  {what}\n")
        sys.stderr.flush()

    connection = await asyncpg.connect(bench.url, command_timeout=None)
    try:
        names, sizes = [each.owner for each in heavy], [each.tasks for each in heavy]
        await connection.execute(SETTINGS)
        await connection.execute("create table owners (n bigint, owner text, tasks int)")
        await connection.execute(OWNERS, names, sizes, others)
        await connection.execute(USERS)
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(index["drop"])
        for name, statement in (("tasks", TASKS), ("changes", CHANGES)):
            await connection.execute(statement)
            progress(f"{name} filled")
        for index in indexes:
            await connection.execute(index["make"])
        progress(f"{len(indexes)} indexes made")
        await connection.execute(COMMENTS, names)
        await connection.execute("drop table owners")
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
        progress("vacuumed")
    finally:
        await connection.close()
