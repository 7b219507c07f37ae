"""The installed packages are those of constraints.txt: exact, complete, and without known vulnerabilities."""

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
# The first version without the vulnerability, which a range in pyproject.toml does not exclude by itself.
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
    """Returns the pinned versions: several where they depend on the Python; with ``here`` those for this Python."""
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
def test_no_pin_is_below_its_first_safe_version(floor: tuple[str, str]) -> None:
    name, version = floor
    found = versions_of(name)
    assert found
    assert min(found) >= Version(version)


def test_rejected_packages_are_not_pinned() -> None:
    assert not ABSENT & PINNED


def test_every_requirement_is_pinned_within_its_range() -> None:
    for requirement in [
        *requirements(),
        *(r for extra in PROJECT["optional-dependencies"] for r in requirements(extra)),
    ]:
        name = canonicalize_name(requirement.name)
        if name == PROJECT["name"]:  # an extra that includes another
            continue
        found = versions_of(name)
        assert found, name
        assert all(requirement.specifier.contains(version) for version in found), requirement
        if requirement in requirements():
            assert requirement.specifier, f"{name} has no floor"


def installed() -> dict[str, str]:
    """Returns all installed packages of this project, by following the requirements of the installed packages."""
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


def test_the_installed_packages_are_the_pinned_ones() -> None:
    found = installed()
    assert len(found) > 40
    assert {name: version for name, version in found.items() if name not in PINNED} == {}
    assert {
        name: version for name, version in found.items() if {Version(version)} != versions_of(name, here=True)
    } == {}


def test_javascript_tools_are_pinned_and_not_shipped() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert "dependencies" not in package
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert lock.pop("")["devDependencies"] == package["devDependencies"]
    for name, version in package["devDependencies"].items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert [name for name, entry in lock.items() if "integrity" not in entry or "resolved" in entry] == []


@pytest.mark.parametrize("name", [path.parent.name for path in ROOT.glob("examples/*/package-lock.json")])
def test_the_packages_of_an_example_are_pinned(name: str) -> None:
    package = json.loads((ROOT / "examples" / name / "package.json").read_text())
    lock = json.loads((ROOT / "examples" / name / "package-lock.json").read_text())["packages"]
    root = lock.pop("")
    for kind in ("dependencies", "devDependencies"):
        assert root[kind] == package[kind]
        assert {each: lock[f"node_modules/{each}"]["version"] for each in package[kind]} == package[kind]
    assert [each for each, entry in lock.items() if "integrity" not in entry or "resolved" in entry] == []
