"""The settings of CalDAV: calendar apps on phones and desktops."""

from pydantic import BaseModel, Field


class CaldavSettings(BaseModel):
    """A part of Settings, in a file of its own for its length."""

    # Calendar apps
    caldav: bool = Field(True, description="Serve calendar apps at /dav/ by CalDAV, with API tokens as passwords.")
    rate_limit_caldav_per_minute: int = Field(
        6000, ge=0, description="CalDAV requests of one user; each process grants its share. 0 switches it off."
    )
