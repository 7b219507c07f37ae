"""Calendar apps of the users of a test."""

import pytest

from tests.dav.apps import CalendarApp, new_app
from tests.support import Person


@pytest.fixture
async def phone(alice: Person) -> CalendarApp:
    """Returns an app of alice."""
    return await new_app(alice)
