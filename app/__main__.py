"""``python -m app`` is the same as ``todo``."""

from app.commands import app

if __name__ == "__main__":  # a worker process also imports this file
    app()
