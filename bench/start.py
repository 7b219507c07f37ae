"""``python -m bench.start``: the time until the service responds, with embedded PostgreSQL and an existing data folder.

Each start is a new process on the same folder, timed until a list of tasks has returned 200; the import alone is
timed in processes of its own. Medians of five. Wanted: less than 2 s to the response, less than 1 s for the import.
"""

import argparse
import http.client
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.contestants import PROJECT_ROOT, free_port
from bench.report import command, table
from bench.scenarios import BENCH_SECRET, token, user_id

STOP_WITHIN = 30.0
IMPORT_PROGRAM = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import app.main
print(time.perf_counter() - wall, time.process_time() - cpu)"""


def environment(folder: Path, port: int = 0) -> dict[str, str]:
    own = {"DATA_DIR": str(folder), "PORT": str(port), "JWT_SECRET": BENCH_SECRET, "ACCESS_LOG": "false"}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(PROJECT_ROOT)} | own


def first_answer(folder: Path) -> float:
    """Measures the seconds from the start of the process to the first 200."""
    port = free_port()
    program = [sys.executable, "-m", "app", "serve"]
    began = time.perf_counter()
    process = subprocess.Popen(program, cwd=folder, env=environment(folder, port), stdout=subprocess.DEVNULL)
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_WITHIN)
            try:  # it listens before it can answer: then this waits
                connection.request("GET", f"/api/{user_id(0)}/tasks", headers={"Authorization": f"Bearer {token(0)}"})
                status = connection.getresponse().status
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the service did not start") from None
                time.sleep(0.002)
                continue
            finally:
                connection.close()
            if status != 200:
                raise RuntimeError(f"the first answer was {status}")
            return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(STOP_WITHIN)


def import_time(folder: Path) -> tuple[float, float]:
    """Measures the seconds of elapsed time and of CPU."""
    program = [sys.executable, "-c", IMPORT_PROGRAM]
    done = subprocess.run(program, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True)
    wall, cpu = done.stdout.split()
    return float(wall), float(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="start-") as name:
        folder = Path(name)
        new = first_answer(folder)
        starts = [first_answer(folder) for _ in range(given.times)]
        imports = [import_time(folder) for _ in range(given.times)]
    rows = [
        ["first answer, existing data folder", *(f"{value(starts):.2f}" for value in (median, min, max)), "2"],
        ["import of app.main", *(f"{value(w for w, _ in imports):.2f}" for value in (median, min, max)), "1"],
        ["its CPU time", *(f"{value(c for _, c in imports):.2f}" for value in (median, min, max)), ""],
        ["first answer, new data folder (once)", f"{new:.2f}", "", "", ""],
    ]
    about = f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    about += f": `{command('bench.start')}`. Seconds."
    report = "\n".join([about, "", *table(["", "median", "least", "most", "wanted"], rows)]) + "\n"
    print(report, end="")
    if given.markdown:
        given.markdown.write_text(report)


if __name__ == "__main__":
    main()
