"""What every command needs: settings, and errors as one line."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import typer
from pydantic import ValidationError

from app.config import Settings, get_settings


def read_settings() -> Settings:
    """The settings, or one line for each that is wrong and exit status 2."""
    try:
        return get_settings()
    except ValidationError as error:
        for found in error.errors():
            name = str(found["loc"][0]).upper() if found["loc"] else "settings"
            typer.echo(f"{name}: {found['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from None


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work``; what an operator can repair is one line, not a traceback."""
    try:
        return asyncio.run(work)
    except (OSError, TimeoutError, ValueError) as error:
        typer.echo(f"todo: {error}", err=True)
        raise typer.Exit(1) from None
