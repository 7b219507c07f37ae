"""Settings of scheduled dumps."""

import re
from datetime import time
from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from app.config.rules import CommaSeparated, split_list

_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


class BackupSettings(BaseModel):
    """A part of Settings, in a file of its own for its length."""

    # Scheduled dumps
    backup_dir: Path | None = Field(
        None, description="Folder into which the worker dumps the database. Empty: it does not."
    )
    backup_at: CommaSeparated = Field(
        default_factory=lambda: ["03:00"],
        min_length=1,
        max_length=24,
        description="Times of day in UTC, HH:MM, comma separated.",
    )
    backup_keep: int = Field(7, ge=1, le=1000, description="Scheduled dumps that are kept; older ones are deleted.")

    @field_validator("backup_at", mode="before")
    @classmethod
    def _split_times(cls, value: object) -> object:
        return split_list(value)

    @field_validator("backup_at")
    @classmethod
    def _times_of_day(cls, value: list[str]) -> list[str]:
        for text in value:
            if not _TIME_OF_DAY.fullmatch(text):
                raise ValueError(f"times of day as 03:00 or 15:30: {text!r} is none")
        return value

    @property
    def backup_times(self) -> list[time]:
        """Returns BACKUP_AT as times."""
        return sorted({time.fromisoformat(text) for text in self.backup_at})
