"""compose.yaml and the Dockerfile match the code."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from app.config import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_the_compose_service_waits_for_the_database_and_drops_privileges() -> None:
    todo = SERVICES["todo"]
    assert todo["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "pg_isready" in " ".join(SERVICES["postgres"]["healthcheck"]["test"])
    assert todo["read_only"] is True
    assert todo["cap_drop"] == ["ALL"]
    assert todo["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^HEALTHCHECK ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(todo["environment"]) <= {name.upper() for name in Settings.model_fields}


def test_the_image_is_built_from_the_files_of_the_wheel_and_installs_it() -> None:
    build, _, image = (ROOT / "Dockerfile").read_text().partition("\n\nFROM ${PYTHON_IMAGE}\n")
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", build, re.MULTILINE) for name in line.split()}
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert {name.partition("/")[0] for name in copied} == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {folder.removeprefix("/") for folder in target["include"]} <= copied
    assert "pip wheel --no-deps" in build
    assert re.findall(r"^COPY (.+)$", image, re.MULTILINE) == ["--from=build /opt/todo /opt/todo"]


def test_compose_keeps_data_in_named_volumes_and_exposes_only_the_service() -> None:
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert mounted == set(COMPOSE["volumes"])
    assert "ports" not in SERVICES["postgres"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["todo"]["ports"])


def test_compose_requires_secrets_from_the_environment() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|DATABASE_URL", name):
                assert re.search(r"\$\{\w+:\?", value), name


def test_the_override_for_https_sets_what_the_service_reads_behind_a_proxy() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    override = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    given = override["services"]["todo"]["environment"]
    assert set(given) == {"PUBLIC_URL", "FORWARDED_ALLOW_IPS"}
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in given.items()})
    host = settings.public_origin.removeprefix("https://")
    command = override["services"]["caddy"]["command"].split()
    assert command[command.index("--from") + 1] == host
    assert command[command.index("--to") + 1] == "todo:8000"
    assert set(override["volumes"]) == {"caddy"}


@pytest.mark.skipif(
    not shutil.which("docker")
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    command = ["docker", "compose", "-f", str(ROOT / "compose.yaml"), "--project-directory", str(tmp_path), "config"]
    secrets = {"POSTGRES_PASSWORD": "x" * 32, "JWT_SECRET": "y" * 40}
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([*command, "-q"], env=path | secrets, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([*command, "-q"], env=path, capture_output=True, check=False).returncode != 0
