"""``python -m app`` is the same as ``todo``."""

from app.cli import app

app()
