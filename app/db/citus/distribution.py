"""Making the tables of a database distributed, by the extension Citus: ``todo distribute``.

Each step is found by what the servers have, so that running it again does what is missing: after a migration that adds
a table, after a server was added, after it was stopped half-way.
"""

import re
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from sqlalchemy import text

from app.db.citus.session import is_distributed
from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.database import NO_OWNER, Database
from app.db.migrations import ALL_ROLES
from app.db.unlimited import unlimited_connection

OLDEST_VERSION = (13, 1)  # older ones give the shards no rights on columns
# The coordinator connects to the other servers as the role that runs, with the settings of that role: those of the
# service's own connections do not get there. An idle transaction is the coordinator's to end. Citus copies a role with
# times in milliseconds.
ROLE_SETTINGS = {
    name: re.sub(r"^(\d+)s$", r"\g<1>000", value)
    for name, value in SERVER_SETTINGS.items()
    if not name.startswith(("idle_", "client_"))
}
SELECT_VERSION = "select extversion from pg_extension where extname = 'citus'"
SELECT_SERVERS = """
    select nodename || ':' || nodeport as name, groupid = 0 as coordinates, isactive as active, shouldhaveshards
    from pg_dist_node where noderole = 'primary' order by groupid"""
SELECT_UNREACHABLE = """
    select distinct to_nodename || ':' || to_nodeport from citus_check_cluster_node_health() where result is not true"""
# Other connections than those of servers to each other, if there is anything that they could be using.
SELECT_OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
      and backend_type = 'client backend' and application_name not like 'citus%'"""
# Per server, as one text: each role that can log in, with those of its settings that matter, in order.
DESCRIBE_ROLES = f"""
    select coalesce(string_agg(rolname || '=' || coalesce((
        select string_agg(lower(s), ',' order by lower(s) collate "C") from unnest(rolconfig) s
        where lower(split_part(s, '=', 1)) = any('{{{",".join(ROLE_SETTINGS)}}}')), ''), ';' order by rolname), '')
    from pg_roles where rolcanlogin and rolname = any('{{{",".join(ALL_ROLES)}}}')"""  # noqa: S608 - constants
OWN_FUNCTIONS = """
    pg_proc p where pronamespace = 'public'::regnamespace and prokind = 'f' and not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')"""
DESCRIBE_FUNCTIONS = f"""
    select coalesce(string_agg(proname || ' ' || md5(pg_get_functiondef(p.oid)), ';' order by proname), '')
    from {OWN_FUNCTIONS}"""  # noqa: S608 - constants
SELECT_FUNCTIONS = f"select pg_get_functiondef(p.oid) from {OWN_FUNCTIONS}"  # noqa: S608
ON_EVERY_SERVER = "select success, result from run_command_on_all_nodes($1, parallel := false)"
SELECT_DISTRIBUTED = "select cast(logicalrelid as text) from pg_dist_partition where partmethod = 'h'"
# Of users' tables; tables of which each server has a copy have such parts everywhere.
HAS_SHARDS_HERE = """
    select exists (select from pg_dist_placement join pg_dist_shard using (shardid)
                   join pg_dist_partition using (logicalrelid) where groupid = 0 and partmethod = 'h')"""
SELECT_TABLES = """
    select c.relname as name, pg_size_pretty(pg_table_size(c.oid)) as size, pg_relation_size(c.oid) > 0 as filled,
           array(select distinct f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
                 where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid) as refers_to
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname = any($1)"""
# An INSERT of the coordinator names every column, those with a default too.
MAY_INSERT_USERS = "select has_table_privilege('todo_auth', 'users', 'insert')"
SELECT_UNUSED = """
    select n.nodename || ':' || n.nodeport from pg_dist_node n
    where noderole = 'primary' and isactive and shouldhaveshards and exists (select from pg_dist_placement)
      and not exists (select from pg_dist_placement p where p.groupid = n.groupid) order by 1"""


class DistributionError(ValueError):
    """The database cannot be distributed as it is; the message names the remedy."""


class DistributionStep(NamedTuple):
    """One thing to do: what it is, and the SQL that does it."""

    text: str
    sql: str


async def plan_distribution(options: ConnectOptions, tables: Mapping[str, str]) -> list[DistributionStep]:
    """Returns what is missing. ``tables`` are those to distribute, with the column of the owner.

    Raises DistributionError, OSError, TimeoutError or an asyncpg error.
    """
    async with unlimited_connection(options) as connection:
        await _check_servers(connection)
        return [step for planner in STEP_PLANNERS for step in await planner(connection, tables)]


async def distribute_tables(
    options: ConnectOptions, tables: Mapping[str, str], say: Callable[[str], None] = lambda _: None
) -> None:
    """Does what is missing, and passes each step to ``say`` before. Raises what ``plan_distribution`` raises."""
    async with unlimited_connection(options) as connection:
        await _check_servers(connection)
        await _check_login(connection)
        async with connection.transaction():  # nobody may see half of the tables distributed
            for step in await _plan_schema(connection, tables):
                say(step.text)
                await connection.execute(step.sql)
        for planner in STEP_PLANNERS[1:]:
            for step in await planner(connection, tables):
                say(step.text)
                await connection.execute(step.sql)
        if missing := [step.text for planner in STEP_PLANNERS for step in await planner(connection, tables)]:
            raise DistributionError(f"still missing: {', '.join(missing)}")


async def require_distribution(database: Database, tables: Mapping[str, str]) -> None:
    """Raises DistributionError if only some of ``tables`` are distributed, as after a migration that adds one: no
    statement can use it together with the others."""
    async with database.transaction(NO_OWNER, read_only=True) as session:
        there = set((await session.exec(text(SELECT_DISTRIBUTED))).all())
        if (await session.exec(text(HAS_SHARDS_HERE))).one():
            raise DistributionError("the coordinator has rows of users: 'todo distribute --check' says what to run")
    if (missing := sorted(tables.keys() - there)) and len(missing) < len(tables):
        raise DistributionError(f"not distributed: {', '.join(missing)}. Run 'todo distribute'")


async def _check_servers(connection: Any) -> None:
    if not await is_distributed(connection):
        raise DistributionError("the extension citus is missing: run 'create extension citus' in it on every server")
    version = await connection.fetchval(SELECT_VERSION)
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_VERSION:
        raise DistributionError(f"Citus {version} is too old: {'.'.join(map(str, OLDEST_VERSION))} is the oldest")
    servers = await connection.fetch(SELECT_SERVERS)
    coordinators = [server for server in servers if server["coordinates"]]
    if not coordinators:
        raise DistributionError("run select citus_set_coordinator_host('<name that the other servers reach it by>')")
    if coordinators[0]["shouldhaveshards"]:
        raise DistributionError(
            "the coordinator has rows of users: run select citus_set_node_property('<its name>', <its port>, "
            "'shouldhaveshards', false), and select citus_drain_node('<its name>', <its port>)"
        )
    if not any(server["active"] for server in servers if not server["coordinates"]):
        raise DistributionError("there is no other server: run select citus_add_node('<its name>', <its port>)")
    if unreachable := [row[0] for row in await connection.fetch(SELECT_UNREACHABLE)]:
        raise DistributionError(f"servers do not reach {', '.join(unreachable)}")


async def _check_login(connection: Any) -> None:
    if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        raise DistributionError("the login must be a superuser: set one in DIRECT_DATABASE_URL")
    begun = {row[0] for row in await connection.fetch(SELECT_DISTRIBUTED)}
    if not begun and (others := await connection.fetchval(SELECT_OTHERS)):
        raise DistributionError(f"{others} other connections are open: stop the service first")


async def _plan_schema(connection: Any, tables: Mapping[str, str]) -> list[DistributionStep]:
    steps = []
    wanted = ",".join(sorted(f"{name}={value}".lower() for name, value in ROLE_SETTINGS.items()))
    if await _describe(connection, DESCRIBE_ROLES) != {";".join(f"{role}={wanted}" for role in sorted(ALL_ROLES))}:
        for role in ALL_ROLES:
            settings = "".join(f"alter role {role} set {name} = '{value}';" for name, value in ROLE_SETTINGS.items())
            what = f"role {role} can log in on every server, with its settings"
            steps.append(DistributionStep(what, f"alter role {role} login; {settings}"))
    if len(await _describe(connection, DESCRIBE_FUNCTIONS)) > 1:
        functions = ";\n".join([row[0] for row in await connection.fetch(SELECT_FUNCTIONS)])
        steps.append(DistributionStep("functions are the same on every server", functions))
    if not await connection.fetchval(MAY_INSERT_USERS):
        steps.append(
            DistributionStep("role todo_auth may set every column of users", "grant insert on users to todo_auth")
        )
    there = {row[0] for row in await connection.fetch(SELECT_DISTRIBUTED)}
    found = {row["name"]: row for row in await connection.fetch(SELECT_TABLES, list(tables))}
    for name in TopologicalSorter({name: row["refers_to"] for name, row in found.items()}).static_order():
        if name in found and name not in there:
            together = "" if name == "users" else ", colocate_with => 'users'"
            sql = f"select create_distributed_table('{name}', '{tables[name]}'{together})"
            copied = f", and its {found[name]['size']} are copied" if found[name]["filled"] else ""
            steps.append(DistributionStep(f"table {name} is distributed by {tables[name]}{copied}", sql))
    return steps


async def _plan_cleanup(connection: Any, tables: Mapping[str, str]) -> list[DistributionStep]:
    """Finds rows that the coordinator has kept and nobody sees."""
    there = {row[0] for row in await connection.fetch(SELECT_DISTRIBUTED)}
    left = [row for row in await connection.fetch(SELECT_TABLES, list(there & set(tables))) if row["filled"]]
    if not left:
        return []
    names = ", ".join(f"{row['name']} ({row['size']})" for row in left)
    sql = ";".join(f"select truncate_local_data_after_distributing_table('{row['name']}')" for row in left)
    return [DistributionStep(f"the coordinator's copies are deleted: {names}", sql)]


async def _plan_moves(connection: Any, tables: Mapping[str, str]) -> list[DistributionStep]:
    """Finds servers that have no rows yet. Writes wait for a move only where no server logs them for replication."""
    unused = [row[0] for row in await connection.fetch(SELECT_UNUSED)]
    if not unused:
        return []
    replicates = await _describe(connection, "show wal_level") == {"logical"}
    mode, note = (
        ("force_logical", "") if replicates else ("block_writes", ": their writes wait, as wal_level is not logical")
    )
    sql = f"select rebalance_table_shards(shard_transfer_mode := '{mode}')"
    return [DistributionStep(f"users are moved to {', '.join(unused)}{note}", sql)]


async def _describe(connection: Any, query: str) -> set[str]:
    """Returns the different results of servers."""
    rows = await connection.fetch(ON_EVERY_SERVER, query)
    if failed := [row["result"] for row in rows if not row["success"]]:
        raise DistributionError(f"a server failed: {failed[0]}")
    return {row["result"] for row in rows}


STEP_PLANNERS = (_plan_schema, _plan_cleanup, _plan_moves)
