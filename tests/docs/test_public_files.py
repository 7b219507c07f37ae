"""The files of a public repository: each exists, and runs the same commands as the others."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

ROOT = Path(__file__).parents[2]
FAST = "not slow"
MAKEFILE = (ROOT / "Makefile").read_text()


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_license_in_pyproject_is_that_of_the_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 the Todo contributors\n")
    for pattern in project["license-files"]:
        assert list(ROOT.glob(pattern)), pattern


def test_the_makefile_has_the_usual_targets_and_installs_like_the_readme() -> None:
    targets = dict(re.findall(r"^(\w+):[^\n]*\n((?:\t[^\n]+\n)+)", MAKEFILE, re.MULTILINE))
    assert {"setup", "test", "fast", "lint", "bench", "serve"} <= set(targets)
    install = targets["setup"].replace("\t", "").replace("$(BIN)", ".venv/bin").strip().replace("\n", " && ")
    assert install in (ROOT / "README.md").read_text()
    assert f'-m "{FAST}"' in targets["fast"]


def test_the_workflow_runs_the_check_script() -> None:
    (job,) = load(".github/workflows/ci.yml")["jobs"].values()
    assert job["steps"][-1] == {"run": "bash .ci/run"}


def test_hooks_are_local_and_run_commands_of_the_check_script() -> None:
    (repo,) = load(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    script = (ROOT / ".ci/run").read_text()
    for hook in repo["hooks"]:
        assert hook["entry"].removesuffix(" --force-exclude") in script


def test_issue_forms_are_valid() -> None:
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.stem for form in forms] == ["bug", "config", "feature"]
    for form in forms:
        if form.stem != "config":
            fields = load(form.relative_to(ROOT).as_posix())["body"]
            assert len({field.get("id") for field in fields}) == len(fields)
