"""An application that may call the loopback, on which the receivers are; tests run its worker."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.main import create_app
from tests.support import Person

VAPID_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"  # RFC 8291, appendix A


@pytest.fixture(scope="package")
async def service(settings: Settings) -> AsyncIterator[FastAPI]:
    changes = {"webhooks_allow_private": True, "vapid_private_key": VAPID_KEY, "public_url": "https://todo.example.com"}
    application = create_app(Settings(_env_file=None, **(settings.model_dump() | changes)))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def anna(service: FastAPI) -> AsyncIterator[Person]:
    """Yields the user of this test."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://test") as client:
        yield Person(client, f"user-{uuid.uuid4().hex}")
