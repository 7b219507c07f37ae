"""Settings: invalid ones are refused, and .env.example and docs/settings.md match the code.

``python -m tests.docs.test_settings`` writes both from app/config/.
"""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.config import Settings
from app.config.backup import BackupSettings
from app.config.caldav import CaldavSettings
from app.config.oauth import OAuthSettings
from app.config.oidc import OidcSettings
from app.observability.startup_errors import describe_invalid_settings
from tests.support import SECRET

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE, PAGE = ROOT / ".env.example", ROOT / "docs" / "settings.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->"
HEADER = """\
# Copy to .env and uncomment what you change; variables of the environment win. Nothing here is required: without any
# setting the service runs its own PostgreSQL and makes its own secret.
"""


def default(field: FieldInfo) -> str:
    """Returns the default as written in .env; empty for none."""
    value = field.get_default(call_default_factory=True)
    if value is None or value == []:
        return ""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


CLASSES = (Settings, OAuthSettings, OidcSettings, BackupSettings, CaldavSettings)


def groups() -> dict[str, list[str]]:
    """Returns the settings by group; the comments between them in the source are the headings."""
    found: dict[str, list[str]] = {}
    for line in "".join(map(inspect.getsource, CLASSES)).splitlines():
        if heading := re.fullmatch(r"    # (.+)", line):
            names = found.setdefault(heading[1], [])
        elif (name := re.match(r"    (\w+): ", line)) and name[1] in Settings.model_fields:
            names.append(name[1])
    return found


def env_example() -> str:
    text = HEADER
    for heading, names in groups().items():
        text += f"\n# ---- {heading}\n"
        for name in names:
            field = Settings.model_fields[name]
            text += f"\n# {field.description}\n#{name.upper()}={default(field)}\n"
    return text


def readers() -> dict[str, list[str]]:
    """Returns the files of app/ that read each setting; none when only a property of Settings in app/config/ does."""
    found: dict[str, list[str]] = {name: [] for name in Settings.model_fields}
    for file in sorted((ROOT / "app").rglob("*.py")):
        for name in sorted(set(re.findall(r"settings\.(\w+)", file.read_text())) & found.keys()):
            found[name].append(file.relative_to(ROOT / "app").as_posix())
    return found


def defining_file(name: str) -> str:
    """Returns the file of app/ with the definition of a setting, where properties may read it."""
    owner = next(each for each in Settings.__mro__ if name in inspect.get_annotations(each))
    return Path(inspect.getfile(owner)).relative_to(ROOT / "app").as_posix()


def settings_table() -> str:
    text, files = "", readers()
    for heading, names in groups().items():
        text += f"\n## {heading}\n\n| Setting | Default | Meaning | Read by |\n|---|---|---|---|\n"
        for name in names:
            field = Settings.model_fields[name]
            value = f"`{default(field)}`" if default(field) else ""
            read_by = ", ".join(f"`{file}`" for file in files[name] or [defining_file(name)])
            text += f"| `{name.upper()}` | {value} | {field.description} | {read_by} |\n"
    return text + "\n"


def test_every_setting_has_a_group_and_a_description() -> None:
    assert sorted(name for names in groups().values() for name in names) == sorted(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_env_example_matches_the_code() -> None:
    assert ENV_EXAMPLE.read_text() == env_example(), "run: python -m tests.docs.test_settings"


def test_the_settings_page_matches_the_code() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == settings_table(), (
        "run: python -m tests.docs.test_settings"
    )


def test_env_example_uncommented_has_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z_]+=)", "", ENV_EXAMPLE.read_text(), flags=re.M))
    assert Settings(_env_file=file) == Settings(_env_file=None)


REMOTE = "postgresql://user:hidden@db.example/todo"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"jwt_secret": "x" * 31}, "JWT_SECRET: must be at least 32 bytes"),
        ({"better_auth_secret": "x" * 31}, "_SECRET: must be at least 32 bytes"),
        ({"cors_origins": "*"}, "CORS_ORIGINS: name each origin"),
        ({"cors_origins": "https://*.example.com"}, "CORS_ORIGINS: name each origin"),
        ({"cors_origins": "app.example.com"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "https://app.example.com/app"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "https://app.example.com?x"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "https://me@app.example.com"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "https://"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "nullx"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_origins": "app://host/path"}, "CORS_ORIGINS: an origin has a scheme"),
        ({"cors_headers": "*"}, "CORS_HEADERS: name each header"),
        ({"cors_headers": "X App"}, "CORS_HEADERS: name each header"),
        ({"cors_headers": "X-Refresh-Cookie"}, "CORS_HEADERS: X-Refresh-Cookie is for pages of this service"),
        ({"public_url": "https://todo.example/a b"}, "PUBLIC_URL: this path cannot be a prefix"),
        ({"public_url": "https://todo.example/../x"}, "PUBLIC_URL: this path cannot be a prefix"),
        ({"public_url": "https://todo.example/?x"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https:///todo"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "todo.example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "//todo.example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "/todo"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": " https://todo.example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://todo example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://todo.example\\@evil.example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://me:hidden@todo.example"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://todo.example:port"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://todo.example:70000/x"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "https://[::1"}, "PUBLIC_URL: a URL of a host"),
        ({"public_url": "ftp://todo.example"}, "PUBLIC_URL: a URL of a host"),
        ({"forwarded_allow_ips": "127.0.0.1, caddy"}, "FORWARDED_ALLOW_IPS: IP addresses and networks"),
        ({"forwarded_allow_ips": "10.0.0.1/8"}, "FORWARDED_ALLOW_IPS: IP addresses and networks"),
        ({"forwarded_allow_ips": "*,10.0.0.1"}, "FORWARDED_ALLOW_IPS: IP addresses and networks"),
        ({"outbound_allow": "http://nas.lan"}, "OUTBOUND_ALLOW: a host name"),
        ({"jwks_url": "https://issuer.example/jwks"}, "JWKS_URL needs JWT_ISSUER"),
        ({"database_url": REMOTE}, "with DATABASE_URL set JWT_SECRET"),
        ({"jwks_url": "issuer.example/jwks", "jwt_issuer": "x"}, "JWKS_URL: begins with http"),
        ({"better_auth_url": "app.example"}, "BETTER_AUTH_URL: begins with http"),
        ({"database_url": "mysql://u:hidden@h/d", "jwt_secret": SECRET}, "DATABASE_URL: begins with postgresql://"),
        ({"direct_database_url": "u:hidden@h/d"}, "DIRECT_DATABASE_URL: begins with postgresql://"),
        ({"port": "70000"}, "PORT: Expected a number of at most 65535."),
        ({"port": "http"}, "PORT: Expected a whole number in digits"),
        ({"pool_size": "0"}, "POOL_SIZE: Expected a number of at least 1."),
        ({"log_level": "loud"}, 'LOG_LEVEL: Expected "debug"'),
        ({"auto_migrate": "perhaps"}, "AUTO_MIGRATE: Expected true or false."),
    ],
)
def test_an_invalid_setting_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), value)
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None)
    (line,) = describe_invalid_settings(refused.value)
    assert said in line
    assert "hidden" not in line
    assert "xxx" not in line


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"DATABASE_URL": "mysql://u:hidden@h/d", "PORT": "http", "JWKS_URL": "https://a/k", "METRICS_TOKEN": "x"}
    for name, value in (wrong | {"WEB_CONCURRENCY": "2"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None)
    lines = describe_invalid_settings(refused.value)
    wanted = ("DATABASE_URL: begins", "PORT: ", "JWKS_URL needs JWT_ISSUER", "METRICS_TOKEN shows one process")
    assert len(lines) == len(wanted)
    assert all(any(line.startswith(start) for line in lines) for start in wanted), lines
    assert "hidden" not in str(lines)
    # Without a secret the URL is wrong, too, and both are said.
    monkeypatch.delenv("JWKS_URL")
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None)
    assert any(line.startswith("with DATABASE_URL set JWT_SECRET") for line in describe_invalid_settings(refused.value))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"database_url": REMOTE, "jwt_secret": SECRET},
        {"database_url": REMOTE, "better_auth_secret": SECRET},
        {"database_url": REMOTE, "better_auth_url": "https://app.example"},
        {"database_url": REMOTE, "jwks_url": "https://issuer.example/jwks", "jwt_issuer": "https://issuer.example"},
        {"forwarded_allow_ips": "127.0.0.1, 10.0.0.0/8,::1"},
        {"forwarded_allow_ips": "*"},
        {"database_url": "", "jwt_secret": "", "port": ""},  # an empty variable counts as not set
    ],
)
def test_valid_settings_are_accepted(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), value)
    assert Settings(_env_file=None).embedded is not bool(settings.get("database_url"))


def test_an_ip_address_may_be_written_as_in_a_url() -> None:
    read = Settings(_env_file=None, host="[::1]", metrics_host="[::]")
    assert (read.host, read.metrics_host) == ("::1", "::")


@pytest.mark.parametrize("name", ["JWT_SECRET", "BETTER_AUTH_SECRET"])
def test_the_shared_secret_has_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    assert secret_of(Settings(_env_file=None)) == SECRET
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}={SECRET}\nCORS_ORIGINS=https://a.example/, http://b.example\n")
    read = Settings(_env_file=tmp_path / ".env")
    assert secret_of(read) == SECRET
    assert read.cors_origins == ["https://a.example", "http://b.example"]
    assert SECRET not in repr(read)


def secret_of(settings: Settings) -> Any:
    assert settings.jwt_secret is not None
    return settings.jwt_secret.get_secret_value()


def write() -> None:
    ENV_EXAMPLE.write_text(env_example())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + settings_table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    write()
