"""The third net, proved at every start: a foreign row is invisible, whoever the service is to the database."""

from sqlalchemy import text

from app.db.session import AUTH_ROLE, SERVICE_ROLE, Database, Session

# Names no token can carry (they are not trimmed): the probe can never meet a real user's rows.
PROBE, STRANGER = " isolation probe ", " isolation stranger "

# Every table of the schema with a column that says whose row it is, and what is wrong with it.
UNPROTECTED = text("""
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname <> 'alembic_version'
      and not (c.relrowsecurity and c.relforcerowsecurity
               and exists (select from pg_policy p where p.polrelid = c.oid))
    order by 1
""")
RIGHTS_TOO_WIDE = text("""
    select rolname from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)
""")
TABLES = text("""
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname <> 'alembic_version'
      and has_table_privilege(c.oid, 'select')
""")
# Password hashes are for the role of logins only, and that role has no business with what users keep here.
CROSSED = text("""
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and c.relname <> 'users'
      and has_any_column_privilege(:service, c.oid, 'select') and has_any_column_privilege(:auth, c.oid, 'select')
    order by 1
""").bindparams(service=SERVICE_ROLE, auth=AUTH_ROLE)
INSERT_PROBE = text("""
    with owner as (insert into users (id, revision) values (:owner, 1) returning id),
         task as (insert into tasks (user_id, id, title, version) overriding system value
                  select id, 0, 'probe', 1 from owner returning user_id, id)
    insert into changes (user_id, revision, entity, entity_id, action, data)
    select user_id, 1, 'task', id, 'created', '{}' from task
""").bindparams(owner=PROBE)


class NotIsolated(Exception):
    """The database would show one user's rows to another. The service must not run on it."""


async def prove_isolation(database: Database) -> None:
    """Write a row as one owner, look for it as another, roll everything back. Raises NotIsolated or AppError."""
    session = database.transaction(PROBE)
    try:
        await _check_catalogue(session)
        await session.exec(INSERT_PROBE)
        tables = (await session.exec(TABLES)).all()
        seen = await _visible(session, tables)
        if not {"users", "tasks", "changes"} <= seen:
            raise NotIsolated("the service's role cannot see its own rows: policies or rights are missing")
        await session.exec(text(f"set local app.user_id = '{STRANGER}'"))
        if leaked := await _visible(session, tables):
            raise NotIsolated(f"rows of one user are visible to another in: {', '.join(sorted(leaked))}")
    finally:
        await session.rollback()


async def _check_catalogue(session: Session) -> None:
    if (await session.exec(RIGHTS_TOO_WIDE)).first():
        raise NotIsolated(f"role {session.owner!r} is a superuser or has BYPASSRLS: row-level security would be off")
    if tables := (await session.exec(UNPROTECTED)).all():
        raise NotIsolated(f"no forced row-level security on: {', '.join(tables)}")
    if tables := (await session.exec(CROSSED)).all():
        raise NotIsolated(f"both {SERVICE_ROLE} and {AUTH_ROLE} can read: {', '.join(tables)}")


async def _visible(session: Session, tables: list[str]) -> set[str]:
    """Which of ``tables`` show a row of the probe."""
    seen = set()
    for table in tables:
        column = "id" if table == "users" else "user_id"
        found = await session.exec(text(f'select 1 from "{table}" where {column} = :probe limit 1'), {"probe": PROBE})  # noqa: S608
        if found.first():
            seen.add(table)
    return seen
