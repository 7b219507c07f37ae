"""A service that processes input before it checks the size: ``tests.faults.probing`` must find it."""

import unicodedata
from typing import Annotated

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field


def _normalized(value: str) -> str:
    return unicodedata.normalize("NFC", value)


class Note(BaseModel):
    title: Annotated[str, AfterValidator(_normalized), Field(max_length=100)]
    color: str = ""
    tags: list[str] = []


def create_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/ready")
    @app.get("/health")
    async def health() -> None: ...

    @app.post("/notes")
    async def create_note(note: Note) -> None:
        assert note.color != "1" * len(note.color) or not note.color

    return app
