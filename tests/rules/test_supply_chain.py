"""What is installed is what constraints.txt says: exact, nothing missing, and nothing with a known hole."""

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
CONSTRAINTS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.strip()]
PINS = [Requirement(line) for line in CONSTRAINTS]
PINNED = {canonicalize_name(pin.name) for pin in PINS}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The first version without the hole, which a range in pyproject.toml does not keep out by itself.
FLOORS = {
    "pyjwt": "2.15.1",
    "starlette": "0.49.1",  # CVE-2025-62727, quadratic time in Range
    "h11": "0.16.0",  # CVE-2025-43859, request smuggling
    "cryptography": "44.0.1",  # CVE-2024-12797, the OpenSSL inside
    "urllib3": "2.6.0",  # CVE-2025-66418, unbounded decompression
    "requests": "2.32.4",  # CVE-2024-47081, credentials to another host
    "idna": "3.7",  # CVE-2024-3651, quadratic time
    "certifi": "2024.7.4",  # CVE-2024-39689, a distrusted root
    "mako": "1.2.2",  # CVE-2022-40023, quadratic time
    "werkzeug": "3.1.4",  # CVE-2025-66221
}
# Rejected: too large, unmaintained, or without a use here.
ABSENT = {"python-jose", "sentry-sdk", "psycopg2", "ecdsa", "passlib"}


def versions_of(name: str, *, here: bool = False) -> set[Version]:
    """More than one where they depend on the Python; ``here``: what is meant for this one."""
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]
    pins = [pin for pin in pins if not here or pin.marker is None or pin.marker.evaluate()]
    return {Version(specifier.version) for pin in pins for specifier in pin.specifier}


def requirements(extra: str = "") -> list[Requirement]:
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return [Requirement(line) for line in listed]


@pytest.mark.parametrize("line", CONSTRAINTS)
def test_each_line_is_a_name_and_an_exact_version(line: str) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.]+( ; [a-z_' !<>=0-9A-Z.()-]+)?", line), line


@pytest.mark.parametrize("floor", FLOORS.items(), ids=lambda floor: floor[0])
def test_nothing_is_below_its_floor(floor: tuple[str, str]) -> None:
    name, version = floor
    found = versions_of(name)
    assert found
    assert min(found) >= Version(version)


def test_what_was_rejected_stays_out() -> None:
    assert not ABSENT & PINNED


def test_every_requirement_is_pinned_within_its_range() -> None:
    for requirement in [
        *requirements(),
        *(r for extra in PROJECT["optional-dependencies"] for r in requirements(extra)),
    ]:
        name = canonicalize_name(requirement.name)
        if name == PROJECT["name"]:  # an extra that brings another
            continue
        found = versions_of(name)
        assert found, name
        assert all(requirement.specifier.contains(version) for version in found), requirement
        if requirement in requirements():
            assert requirement.specifier, f"{name} has no floor"


def installed() -> dict[str, str]:
    """Everything that this project brings with it here, by following what the installed packages say they need."""
    found: dict[str, str] = {}
    todo = [(requirement, {""}) for requirement in [*requirements(), *requirements("dev")]]
    while todo:
        requirement, extras = todo.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        wanted = {"", *requirement.extras}
        if name not in found or requirement.extras:
            first = name not in found
            found[name] = package.version
            if first or requirement.extras:
                todo += [(Requirement(line), wanted) for line in package.requires or []]
    found.pop(PROJECT["name"], None)
    return found


def test_what_is_installed_is_what_is_pinned() -> None:
    found = installed()
    assert len(found) > 40
    assert {name: version for name, version in found.items() if name not in PINNED} == {}
    assert {
        name: version for name, version in found.items() if {Version(version)} != versions_of(name, here=True)
    } == {}


def test_tools_of_javascript_are_pinned_and_none_is_shipped() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert "dependencies" not in package
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert lock.pop("")["devDependencies"] == package["devDependencies"]
    for name, version in package["devDependencies"].items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert [name for name, entry in lock.items() if "integrity" not in entry or "resolved" in entry] == []
