"""The benchmark that the documents quote runs: it refuses to measure contestants whose responses differ."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MEASURED = ("get one", "list 20", "create", "complete", "list 304")
COMPARED = ("service", "limit", "idiomatic", "naive")
PATIENCE = 240  # seconds


def test_the_contestants_of_the_benchmark_respond_alike() -> None:
    few = ["--rounds", "1", "--seconds", "0.5", "--connections", "4"]
    chosen = ["--contestants", ",".join(COMPARED), "--scenarios", ",".join(MEASURED)]
    run = subprocess.run(
        [sys.executable, "-m", "bench", *few, *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for scenario in MEASURED:
        assert f"| {scenario}" in run.stdout
