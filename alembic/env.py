"""Runs migrations on the connection that ``app.db.migrations`` passes, or offline as SQL."""

from alembic import context
from app.models import METADATA

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=METADATA, literal_binds=True)
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        compare_type=True,
        compare_server_default=True,
    )

with context.begin_transaction():
    context.execute("set local lock_timeout = '10s'")
    context.run_migrations()
