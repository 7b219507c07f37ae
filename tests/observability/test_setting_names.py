"""Misspelt settings are named at the start, with the nearest one."""

from pathlib import Path

import pytest

from app.config import Settings
from app.observability.setting_names import OTHER_NAMES, find_nearest_setting, find_setting_problems, known_settings


@pytest.mark.parametrize(
    "name", ["LIST_SHPE", "list_shpe", "LISTSHAPE", "LIST-SHAPE", "TODO_LIST_SHAPE", "LIST_SHAPES"]
)
@pytest.mark.parametrize("form", ["{name}=array", "export {name}=array", " {name} = 'array' # comment"])
def test_a_misspelt_name_in_the_file_is_named_with_the_nearest_setting(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf# comment\r\n" + form.format(name=name).encode() + b"\r\nPORT=9\r\n")
    (sentence,) = find_setting_problems(tmp_path)
    assert sentence == f"{name} in .env is no setting and has no effect: did you mean LIST_SHAPE?"


@pytest.mark.parametrize(
    "line",
    ["LIST_SHAPE=array", "export LIST_SHAPE=array", "list_shape='array'", '  LIST_SHAPE = "array"  # comment'],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_way_to_write_a_setting_is_read(tmp_path: Path, line: str, mark: bytes) -> None:
    (tmp_path / ".env").write_bytes(mark + line.encode() + b"\r\n\r\nLOG_LEVEL=error\r\n")
    assert find_setting_problems(tmp_path) == []
    assert Settings(_env_file=tmp_path / ".env").list_shape == "array"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PORT\n", [".env, line 1, sets nothing: write NAME=value"]),
        ("\n\nLIST SHAPE=array\n", [".env, line 3, sets nothing: write NAME=value"]),
        ("LIST_SHAPE: array\n", [".env, line 1, sets nothing: write NAME=value"]),
        ("PORT=1\n# x\nport=2\n", ["PORT stands twice in .env: line 3 applies, line 1 does not"]),
        ("SECRET_KEY=hidden\n", ["SECRET_KEY in .env is no setting and has no effect: did you mean JWT_SECRET?"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT=http://x\n",
         ["OTEL_EXPORTER_OTLP_ENDPOINT in .env is no setting of this service and has no effect"]),
        ("POSTGRES_PASSWORD=hidden\nCOMPOSE_PROJECT_NAME=x\nNEXT_PUBLIC_URL=x\nBETTER_AUTH_SECRET=x\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_lines_without_effect_are_named_without_their_values(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / ".env").write_text(text)
    assert find_setting_problems(tmp_path) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "LIST_SHPE",
            "array",
            "LIST_SHPE in the environment is no setting and has no effect: did you mean LIST_SHAPE?",
        ),
        ("PUBLIC_URL", '"https://x"', "PUBLIC_URL in the environment is in quotation marks, which are part of"),
        ("PUBLIC_URL", "https://x ", "PUBLIC_URL in the environment has spaces around its value"),
    ],
)
def test_variables_of_the_environment_that_are_not_as_meant_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    (sentence,) = find_setting_problems(tmp_path)
    assert sentence.startswith(said)


def test_variables_of_other_programs_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOSTNAME", "LOGNAME", "DOCKER_HOST", "NEXT_PUBLIC_URL", "PGHOST", "TOKEN", "SSH_AUTH_SOCK", "DEBUG"):
        monkeypatch.setenv(name, "x")
    assert find_setting_problems(tmp_path) == []


def test_each_setting_is_found_with_a_letter_missing() -> None:
    for setting in known_settings():
        if len(setting) > 8:
            assert find_nearest_setting(setting[:4] + setting[5:]) == setting


def test_other_names_lead_to_settings() -> None:
    assert set(OTHER_NAMES.values()) <= known_settings()
    assert not set(OTHER_NAMES) & known_settings()
