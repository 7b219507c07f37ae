"""Names in ``.env`` and in the environment that are no setting, and lines that set none: for the operator, at start.

A misspelt setting would pass in silence, and the service would run with a default. Values are never shown.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from app.config import ENV_ENCODING, ENV_FILE, Settings, inherited_environment

SIMILAR_IN_FILE, SIMILAR_IN_ENVIRONMENT = 0.6, 0.85  # the environment is full of other programs' names
SHORTEST_GUESS = 4  # characters: shorter names are similar to anything
NAME_SHOWN_MAX = 60  # characters
# What other programs call it, where that is not similar to our name.
OTHER_NAMES = {
    "ALLOWED_ORIGINS": "CORS_ORIGINS",
    "ANTHROPIC_API_KEY": "LLM_API_KEY",
    "APP_URL": "PUBLIC_URL",
    "BASE_PATH": "PUBLIC_URL",
    "BASE_URL": "PUBLIC_URL",
    "BIND": "HOST",
    "DB_URL": "DATABASE_URL",
    "EMAIL_FROM": "MAIL_FROM",
    "OPENAI_API_KEY": "LLM_API_KEY",
    "OPENAI_BASE_URL": "LLM_BASE_URL",
    "POSTGRES_URL": "DATABASE_URL",
    "ROOT_PATH": "PUBLIC_URL",
    "ROOT_URL": "PUBLIC_URL",
    "SECRET_KEY": "JWT_SECRET",
    "SMTP_FROM": "MAIL_FROM",
    "SMTP_HOST": "SMTP_URL",
    "TRUSTED_PROXIES": "FORWARDED_ALLOW_IPS",
    "WORKERS": "WEB_CONCURRENCY",
}
# In .env for other programs that read it, next to this one.
FOREIGN_NAMES = re.compile(r"(?:COMPOSE|DOCKER|POSTGRES|PG|NEXT|VITE|BETTER_AUTH|NODE|PYTHON)_?[A-Z0-9_]*")


def known_settings() -> set[str]:
    return {name.upper() for name in Settings.model_fields} | {"BETTER_AUTH_SECRET"}


def find_setting_problems(folder: Path | None = None) -> list[str]:
    """Returns a sentence for each name and line that has no effect, or another than meant."""
    file = (folder or Path()) / ENV_FILE
    found = list(_in_file(file.read_text(ENV_ENCODING))) if file.is_file() else []
    return found + list(_in_environment(inherited_environment()))


def _in_file(text: str) -> Iterator[str]:
    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            yield f"{ENV_FILE}, line {line}, sets nothing: write NAME=value"
        elif binding.key is not None:
            name = binding.key.upper()
            if name in known_settings():
                if name in lines:
                    yield f"{name} stands twice in {ENV_FILE}: line {line} applies, line {lines[name]} does not"
                lines[name] = line
            elif guess := find_nearest_setting(name, in_file=True):
                yield f"{_show(binding.key)} in {ENV_FILE} is no setting and has no effect: did you mean {guess}?"
            elif FOREIGN_NAMES.fullmatch(name) is None:
                yield f"{_show(binding.key)} in {ENV_FILE} is no setting of this service and has no effect"


def _in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    names = known_settings()
    for name, value in environment.items():
        if name.upper() in names:
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                yield f"{name} in the environment is in quotation marks, which are part of its value: leave them out"
            elif value != value.strip(" \t"):
                yield f"{name} in the environment has spaces around its value, which are part of it: leave them out"
        elif guess := find_nearest_setting(name.upper()):
            yield f"{_show(name)} in the environment is no setting and has no effect: did you mean {guess}?"


def find_nearest_setting(name: str, *, in_file: bool = False) -> str | None:
    """Returns the setting that ``name``, in capitals, most probably means; None if there is no similar one."""
    if in_file and name in OTHER_NAMES:
        return OTHER_NAMES[name]
    similar = SIMILAR_IN_FILE if in_file and FOREIGN_NAMES.fullmatch(name) is None else SIMILAR_IN_ENVIRONMENT
    plain = {re.sub(r"[^A-Z0-9]", "", setting): setting for setting in known_settings()}
    wanted = re.sub(r"[^A-Z0-9]", "", name.removeprefix("TODO_"))
    if wanted in plain:
        return plain[wanted]
    near = get_close_matches(wanted, plain, 1, similar) if len(wanted) >= SHORTEST_GUESS else []
    return plain[near[0]] if near else None


def _show(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:NAME_SHOWN_MAX])
