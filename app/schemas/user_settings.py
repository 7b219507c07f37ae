"""What a user says about themselves to be served right; also for users of other issuers, who have no account here."""

from pydantic import BaseModel, ConfigDict

from app.models.accounts import TimeZone
from app.models.types import Shape


class PreferencesUpdate(Shape):
    """The time zone says what today is, and what a local time without offset means."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Europe/Berlin"}]})

    timezone: TimeZone


class PreferencesRead(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Europe/Berlin"}]})

    timezone: str
