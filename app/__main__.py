"""``python -m app`` is the same as ``todo``."""

from app.cli import app

if __name__ == "__main__":  # a worker process imports this file, too
    app()
