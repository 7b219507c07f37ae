"""A task backend: routers -> services -> PostgreSQL. Start reading at ``app.main``."""
