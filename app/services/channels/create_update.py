"""Channels of an owner. Their secrets are in a table of their own, which no change, export or undo holds."""

from typing import Any

from pydantic import MISSING
from sqlalchemy import BigInteger, Text, bindparam, false, func, insert, null, select, union_all
from sqlalchemy.dialects.postgresql import insert as pg_insert

from app.db.changes import NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import ChannelNotFound, TooManyChannels, UnknownReference, VersionConflict
from app.models.channels import CHANNELS, DIGEST_WEEKDAYS, ChannelKind, ChannelRow, ChannelSecrets
from app.models.columns import table_of
from app.models.tasks import TASKS
from app.net.outbound import load_http_libraries
from app.net.outbound_policy import OutboundPolicy
from app.schemas.channels import ChannelCreate, ChannelUpdate
from app.services.changes.entities import CHANNEL_ENTITY
from app.services.channels.channel_fields import (
    KIND_FIELDS,
    SECRET_FIELDS,
    SWITCHED_OFF,
    Fields,
    complete_fields,
)
from app.services.channels.schedule import schedule_channels
from app.services.row_limits import find_room
from app.services.users import lock_or_create_owner, lock_owner

CHANNEL_SECRETS = table_of(ChannelSecrets)
_secret = CHANNEL_SECRETS.c
CHANNEL_FIELDS = ChannelRow.__struct_fields__
STALE_CHANNEL = "The channel has changed since the version in If-Match: get it again."
CHANNEL_ID = bindparam("channel_id", type_=BigInteger)
IS_LIVE_CHANNEL = (CHANNELS.c.user_id == OWNER, CHANNELS.c.deleted_at.is_(None))
IS_CHANNEL = (*IS_LIVE_CHANNEL, CHANNELS.c.id == CHANNEL_ID)
WRITTEN_COLUMNS = (
    "name", "url", "topic", "secrets", "active", "disabled_reason", "all_reminders", "quiet_from", "quiet_to",
    "digest_time", "digest_days",
)  # fmt: skip
_written = {name: bindparam(name, type_=CHANNELS.c[name].type) for name in WRITTEN_COLUMNS}


def recorded_channel(write: Any, action: str) -> CompiledStatement:
    """Returns a write of channels that takes the next revision and returns each row."""
    kept = kept_columns(CHANNELS)
    return recorded_write(write, entity="channel", action=action, returning=kept, columns=CHANNEL_FIELDS)


_columns = [CHANNELS.c[name] for name in CHANNEL_FIELDS]
SELECT_CHANNELS = CompiledStatement(
    select(*_columns).where(*IS_LIVE_CHANNEL).order_by(func.lower(CHANNELS.c.name), CHANNELS.c.id)
)
SELECT_CHANNEL = CompiledStatement(select(*_columns).where(*IS_CHANNEL))
NO_TASK = 0  # which no row has
# Those that there are, and those that the task names already: a client sends back what it got.
SELECT_NAMEABLE_IDS = CompiledStatement(
    union_all(
        select(CHANNELS.c.id).where(*IS_LIVE_CHANNEL),
        select(func.unnest(TASKS.c.remind_channels)).where(
            TASKS.c.user_id == OWNER, TASKS.c.id == bindparam("task_id", type_=BigInteger)
        ),
    )
)
INSERT_CHANNEL = recorded_channel(
    insert(CHANNELS).values(user_id=OWNER, kind=bindparam("kind"), version=NEXT_REVISION, **_written), "created"
)
UPDATE_CHANNEL = recorded_channel(update_row(CHANNELS, IS_CHANNEL, checks_version=False, **_written), "updated")
DISABLE_CHANNEL = recorded_channel(
    update_row(
        CHANNELS,
        IS_CHANNEL,
        checks_version=False,
        active=false(),
        disabled_reason=bindparam("reason", type_=Text),
        next_digest_at=null(),
    ),
    "updated",
)
DELETE_CHANNEL = {
    checks_version: recorded_channel(
        update_row(
            CHANNELS,
            IS_CHANNEL,
            checks_version=checks_version,
            deleted_at=moment_of(CHANNELS),
            next_digest_at=null(),
        ),
        "deleted",
    )
    for checks_version in (False, True)
}
SELECT_SECRETS = CompiledStatement(
    select(_secret.secrets).where(_secret.user_id == OWNER, _secret.channel_id == CHANNEL_ID)
)
_upsert = pg_insert(CHANNEL_SECRETS).values(
    user_id=OWNER, channel_id=CHANNEL_ID, secrets=bindparam("secrets", type_=_secret.secrets.type)
)
UPSERT_SECRETS = CompiledStatement(
    _upsert.on_conflict_do_update(
        index_elements=[_secret.user_id, _secret.channel_id],
        set_={"secrets": _upsert.excluded.secrets},
    )
)
SELECT_SUBSCRIBED = CompiledStatement(
    select(CHANNELS.c.id)
    .join(
        CHANNEL_SECRETS,
        (_secret.user_id == CHANNELS.c.user_id) & (_secret.channel_id == CHANNELS.c.id),
    )
    .where(
        *IS_LIVE_CHANNEL,
        CHANNELS.c.kind == ChannelKind.WEBPUSH.value,
        _secret.secrets[("subscription", "endpoint")].as_string() == bindparam("endpoint"),
    )
)


async def list_channels(session: Session, owner: str) -> list[ChannelRow]:
    """Returns all of them, by name: there are few."""
    return [ChannelRow(*row) for row in (await session.exec(SELECT_CHANNELS, {"owner": owner})).all()]


async def get_channel(session: Session, owner: str, channel_id: int) -> ChannelRow:
    """Returns a channel. Raises ChannelNotFound."""
    row = (await session.exec(SELECT_CHANNEL, {"owner": owner, "channel_id": channel_id})).first()
    if row is None:
        raise ChannelNotFound
    return ChannelRow(*row)


async def create_channel(
    session: Session, owner: str, channel: ChannelCreate, *, policy: OutboundPolicy
) -> tuple[ChannelRow, bool]:
    """Creates a channel; returns it, and whether it is new: a browser's subscription has one.

    Raises ChannelNameTaken, TooManyChannels and what ``complete_fields`` raises.
    """
    sent = channel.model_dump(exclude={"kind"}, exclude_none=True)
    await load_http_libraries()
    await lock_or_create_owner(session, owner)  # no concurrent write adds one after the count
    if channel.kind is ChannelKind.WEBPUSH and channel.subscription is not None:
        known = {"owner": owner, "endpoint": channel.subscription.endpoint}
        if (channel_id := (await session.exec(SELECT_SUBSCRIBED, known)).first()) is not None:
            change = {name: value for name, value in sent.items() if name in channel.model_fields_set}
            return await _change_channel(
                session, owner, await get_channel(session, owner, channel_id), change, policy
            ), False
    fields = complete_fields(channel.kind, sent, policy)
    if await find_room(session, owner, CHANNEL_ENTITY) <= 0:
        raise TooManyChannels
    fields.setdefault("name", await _find_free_name(session, owner, channel.kind))
    values = {**_columns_of(fields, None if channel.active else SWITCHED_OFF), "owner": owner, "kind": channel.kind}
    row = ChannelRow(*(await session.exec(INSERT_CHANNEL, values)).one())
    await _write_beside(session, owner, row.id, fields)
    return row, True


async def update_channel(
    session: Session,
    owner: str,
    channel_id: int,
    change: ChannelUpdate,
    *,
    versions: list[int] | None,
    policy: OutboundPolicy,
) -> ChannelRow:
    """Writes the fields that were sent. Raises ChannelNotFound, ChannelNameTaken and what ``complete_fields`` raises.

    Also VersionConflict when ``versions`` lacks the current one.
    """
    await load_http_libraries()
    await lock_owner(session, owner)
    row = await get_channel(session, owner, channel_id)
    if versions is not None and row.version not in versions:
        raise VersionConflict(STALE_CHANNEL)
    sent = {name: value for name, value in change.model_dump().items() if value is not MISSING}
    return await _change_channel(session, owner, row, sent, policy)


async def delete_channel(session: Session, owner: str, channel_id: int, *, versions: list[int] | None) -> None:
    """Moves a channel to the trash; undo brings it back with its secrets. Raises ChannelNotFound, VersionConflict."""
    values = {"owner": owner, "channel_id": channel_id, "versions": versions}
    if (await session.exec(DELETE_CHANNEL[versions is not None], values)).first() is None:
        await get_channel(session, owner, channel_id)
        raise VersionConflict(STALE_CHANNEL)


async def disable_channel(session: Session, owner: str, channel_id: int, reason: str, *, version: int) -> None:
    """Disables a channel whose receiver is gone permanently, if it is active and was not changed since ``version``.

    The owner must be locked.
    """
    row = (await session.exec(SELECT_CHANNEL, {"owner": owner, "channel_id": channel_id})).first()
    if row is not None and row.active and row.version == version:
        session.source = "delivery"
        await session.exec(DISABLE_CHANNEL, {"owner": owner, "channel_id": channel_id, "reason": reason})


async def require_channels(
    session: Session, owner: str, channel_ids: list[int] | None, *, task_id: int, loc: tuple[str, ...]
) -> list[int] | None:
    """Returns the ids. Raises UnknownReference unless all are channels of the owner, or named by the task already."""
    if channel_ids:
        known = set((await session.exec(SELECT_NAMEABLE_IDS, {"owner": owner, "task_id": task_id})).all())
        if missing := next((each for each in channel_ids if each not in known), None):
            raise UnknownReference(f"remind_channels: there is no channel {missing}.", loc=loc)
    return channel_ids


async def _change_channel(
    session: Session, owner: str, row: ChannelRow, sent: Fields, policy: OutboundPolicy
) -> ChannelRow:
    """Writes what was sent to a channel. The owner must be locked."""
    stored = (await session.exec(SELECT_SECRETS, {"owner": owner, "channel_id": row.id})).first() or {}
    if row.kind == ChannelKind.WEBPUSH:
        sent.setdefault("url", None)  # follows from the subscription, which an undo keeps
    before = {name: getattr(row, name) for name in WRITTEN_COLUMNS if name != "secrets"}
    fields = complete_fields(row.kind, {**before, **stored, **sent}, policy)
    if fields["digest_days"] is None:
        fields["digest_days"] = list(DIGEST_WEEKDAYS)
    reason = row.disabled_reason
    if "active" in sent:
        reason = None if sent["active"] else reason or SWITCHED_OFF
    elif sent.keys() & set(SECRET_FIELDS) and reason != SWITCHED_OFF:
        reason = None  # it was disabled because the old one does not work
    values = {**_columns_of(fields, reason), "owner": owner, "channel_id": row.id}
    changed = ChannelRow(*(await session.exec(UPDATE_CHANNEL, values)).one())
    await _write_beside(session, owner, row.id, fields)
    return changed


def _columns_of(fields: Fields, disabled_reason: str | None) -> Fields:
    """Returns WRITTEN_COLUMNS."""
    names = [name for name in SECRET_FIELDS if fields.get(name) is not None]
    columns = {name: fields.get(name) for name in WRITTEN_COLUMNS}
    return columns | {"secrets": names, "active": disabled_reason is None, "disabled_reason": disabled_reason}


async def _write_beside(session: Session, owner: str, channel_id: int, fields: Fields) -> None:
    """Writes what is not in the row of the channel that was written: its secrets, and when its digest is due."""
    secrets = {name: fields[name] for name in SECRET_FIELDS if fields.get(name) is not None}
    await session.exec(UPSERT_SECRETS, {"owner": owner, "channel_id": channel_id, "secrets": secrets})
    await schedule_channels(session, owner)


async def _find_free_name(session: Session, owner: str, kind: ChannelKind) -> str:
    name = KIND_FIELDS[kind].default_name
    taken = {row.name for row in await list_channels(session, owner)}
    numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)
