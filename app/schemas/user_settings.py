"""Settings of a user; also for users of other issuers, who have no account here."""

from pydantic import BaseModel, ConfigDict

from app.models.accounts import TimeZone
from app.models.types import RequestModel


class PreferencesUpdate(RequestModel):
    """The time zone determines which day is today, and the meaning of a local time without offset."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Europe/Berlin"}]})

    timezone: TimeZone


class PreferencesRead(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Europe/Berlin"}]})

    timezone: str
