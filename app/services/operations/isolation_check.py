"""The check of row-level security at every start: rows of one user are invisible to another, whatever role connects."""

import secrets
from typing import NamedTuple

from sqlalchemy import text

from app.db.compiled import escape_colons, quote_name
from app.db.database import AUTH_ROLE, SERVICE_ROLE, Database
from app.db.session import Session
from app.errors import AppError

# Names that no token can hold (they contain spaces), and new in each process: the probe never meets rows of a user, nor
# those of another process that starts at the same time.
PROBE_OWNER, OTHER_OWNER = (f" isolation {role} {secrets.token_hex(8)} " for role in ("probe", "stranger"))

# What the service's role can access, without extensions. Other programs' tables in the schema do not matter.
REACHABLE_TABLES = """
    reachable as (
        select c.* from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and c.relname <> 'alembic_version'
          and has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')
          and not exists (select from pg_depend d
                          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    ),
    -- Permissive policies add up, so each one must exclude other users' rows; restrictive ones only exclude more.
    policies as (
        select p.*, c.relname from pg_policy p join reachable c on c.oid = p.polrelid
        where p.polpermissive and exists (
            select from unnest(p.polroles) role
            where case when role = 0 then true else pg_has_role(role, 'usage') end)
    )
"""
SELECT_BYPASSING_ROLES = text("""
    select rolname from pg_roles where (rolsuper or rolbypassrls) and pg_has_role(oid, 'member') order by 1
""")
# Only the role of logins may read password hashes, and it must not read what users store.
SELECT_SHARED_TABLES = text("""
    select c.relname from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'users'
      and has_any_column_privilege(:service, c.oid, 'select') and has_any_column_privilege(:auth, c.oid, 'select')
    order by 1
""").bindparams(service=SERVICE_ROLE, auth=AUTH_ROLE)
SELECT_UNPROTECTED = text(f"""
    with {REACHABLE_TABLES}
    select relname || ': ' || problem from reachable c cross join lateral (values
        (c.relkind in ('r', 'p') and not c.relrowsecurity, 'row-level security is off'),
        (c.relkind in ('r', 'p') and not c.relforcerowsecurity, 'row-level security is not forced on its owner'),
        (c.relkind in ('r', 'p') and not exists (
            select from policies p where p.polrelid = c.oid and p.polcmd = '*'), 'no policy covers every command'),
        (c.relkind in ('m', 'f') or (c.relkind = 'v' and coalesce(
            not c.reloptions && '{{security_invoker=true,security_invoker=on}}', true)),
            'a view that reads with its owner''s rights'),
        (pg_has_role(c.relowner, 'usage'), 'it belongs to the service''s role, which could switch policies off'),
        (has_table_privilege(c.oid, 'truncate, references, trigger'), 'rights beyond reading and writing rows')
    ) as checks (failed, problem)
    where failed order by 1
""")  # noqa: S608 - constants
SELECT_POLICIES = text(f"""
    with {REACHABLE_TABLES}
    select relname as table_name, polname as name,
           pg_get_expr(polqual, polrelid) as using, pg_get_expr(polwithcheck, polrelid) as checking
    from policies order by 1, 2
""")  # noqa: S608
SELECT_REACHABLE = text(f"with {REACHABLE_TABLES} select relname from reachable where relkind in ('r', 'p') order by 1")  # noqa: S608
# Of each server of a distributed database: its tables, and its shards, that admit other users' rows or have lost the
# policies of their table. The commands of servers to each other are shown shards.
SELECT_UNPROTECTED_SHARDS = f"""
    with {REACHABLE_TABLES},
    described as (
        select relname, regexp_replace(relname, '_[0-9]{{6,}}$', '') as of_table,
               relrowsecurity and relforcerowsecurity as forced,
               (select string_agg(concat_ws(' ', polname, polcmd, polpermissive, polroles,
                       pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)), ' ' order by polname)
                from pg_policy where polrelid = c.oid) as policies
        from reachable c where relkind in ('r', 'p')
    )
    select coalesce(string_agg(s.relname, ', ' order by s.relname), '')
    from described s left join described t on t.relname = s.of_table
    where not s.forced or s.policies is distinct from t.policies
"""  # noqa: S608
ASK_EVERY_SERVER = text("""
    select nodename || ':' || nodeport, success, result
    from run_command_on_all_nodes(:command) join pg_dist_node using (nodeid)
""")
# With explicit ids: a rollback would not undo an advance of the sequence.
INSERT_PROBE = (
    "insert into users (id, revision) values (:owner, 1)",
    "insert into tasks (user_id, id, title, version) overriding system value values (:owner, 0, 'probe', 1)",
    "insert into changes (user_id, revision, entity, entity_id, action, data)"
    " values (:owner, 1, 'task', 0, 'created', '{}')",
)


class NotIsolated(Exception):
    """The database would show one user's rows to another. The service must not run on it."""


class Policy(NamedTuple):
    table_name: str
    name: str
    using: str | None
    checking: str | None


async def verify_isolation(database: Database) -> None:
    """Writes rows as one owner, reads them as another, rolls everything back. Raises NotIsolated or AppError."""
    session = database.transaction(PROBE_OWNER)
    try:
        await _check_catalogue(session, database.role)
        for policy in (await session.exec(SELECT_POLICIES)).all():
            await _check_policy(session, Policy(*policy))
        if database.distributed:
            await _check_servers(session)
        await _check_rows(session)
    finally:
        await session.rollback()


async def _check_catalogue(session: Session, role: str) -> None:
    if roles := (await session.exec(SELECT_BYPASSING_ROLES)).all():
        raise NotIsolated(f"role {role!r} is or can become {', '.join(roles)}, which bypass row-level security")
    if problems := (await session.exec(SELECT_UNPROTECTED)).all():
        raise NotIsolated("; ".join(problems))
    if tables := (await session.exec(SELECT_SHARED_TABLES)).all():
        raise NotIsolated(f"both {SERVICE_ROLE} and {AUTH_ROLE} can read: {', '.join(tables)}")


async def _check_servers(session: Session) -> None:
    """Checks the tables and shards of every server of a distributed database, as the service's role there."""
    for server, success, result in (await session.exec(ASK_EVERY_SERVER, {"command": SELECT_UNPROTECTED_SHARDS})).all():
        if not success:
            raise NotIsolated(f"server {server} cannot be asked: {result}")
        if result:
            raise NotIsolated(f"on server {server} row-level security is off, not forced, or differs: {result}")


async def _check_policy(session: Session, policy: Policy) -> None:
    """Evaluates a policy on a row of another user: whether it may be read, updated, deleted, inserted or moved.

    This covers tables into which the probe writes no row, and neither locks nor logs anything.
    """
    where = " or ".join(f"({rule})" for rule in (policy.using, policy.checking) if rule)
    row = f'(select cast(:stranger as text) as "{_owner_column(policy.table_name)}")'
    name, condition = quote_name(policy.table_name), escape_colons(where or "false")
    statement = text(f"select 1 from {row} as {name} where {condition}")  # noqa: S608
    try:
        admitted = (await session.exec(statement, {"stranger": OTHER_OWNER})).first()
    except Exception as error:  # it reads more than the owner's column: this check cannot evaluate it
        raise NotIsolated(f"{policy.table_name}: policy {policy.name!r} does not depend on the owner alone") from error
    if admitted:
        raise NotIsolated(f"{policy.table_name}: policy {policy.name!r} admits one user to the rows of another")


async def _check_rows(session: Session) -> None:
    tables = (await session.exec(SELECT_REACHABLE)).all()
    if not tables:
        raise NotIsolated("the service's role can reach no table: rights on the schema or on its tables are missing")
    try:
        for statement in INSERT_PROBE:
            await session.exec(text(statement), {"owner": PROBE_OWNER})
        seen = await _visible(session, tables)
    except AppError as error:
        raise NotIsolated(f"the service's role cannot work on its own rows: {error.__cause__ or error}") from error
    if not {"users", "tasks", "changes"} <= seen:
        raise NotIsolated("the service's role cannot see its own rows: policies or rights are missing")
    await session.exec(text(f"set local app.user_id = '{OTHER_OWNER}'"))
    if leaked := await _visible(session, tables):
        raise NotIsolated(f"rows of one user are visible to another in: {', '.join(sorted(leaked))}")


async def _visible(session: Session, tables: list[str]) -> set[str]:
    """Returns those of ``tables`` that show a row of the probe."""
    seen = set()
    for table in tables:
        sql = f"select 1 from {quote_name(table)} where {_owner_column(table)} = :probe limit 1"  # noqa: S608
        if (await session.exec(text(sql), {"probe": PROBE_OWNER})).first():
            seen.add(table)
    return seen


def _owner_column(table: str) -> str:
    return "id" if table == "users" else "user_id"
