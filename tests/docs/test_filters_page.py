"""The commands and the examples of docs/filters.md, as a reader runs them."""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.connection_options import ConnectOptions
from tests.servers import Server, running
from tests.support import make_token

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text()
EXAMPLES = {
    text.replace("\\|", "|"): found.split(", ")
    for text, found in re.findall(
        r"^\| `(.+?)` \| (.+?) \|$", PAGE.partition("\n## Examples\n")[2].partition("\n## ")[0], re.M
    )
}


class Reader:
    """A user for whom the page's commands were run."""

    def __init__(self, server: Server) -> None:
        self.url, self.subject = server.url, f"user-{uuid.uuid4().hex}"
        self.output = ""

    def run(self) -> None:
        """Runs the commands in a shell."""
        (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
        script = script.replace("http://127.0.0.1:8000", self.url)
        script = re.sub(r"\$\(.venv/bin/todo token \w+\)", make_token(self.subject), script)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        self.output = done.stdout


@pytest.fixture(scope="module")
def server(postgres: ConnectOptions) -> Iterator[Server]:
    with running(postgres.dsn) as started:
        yield started


@pytest.fixture(scope="module")
def reader(server: Server) -> Reader:
    reader = Reader(server)
    reader.run()
    return reader


async def test_the_commands_work(reader: Reader) -> None:
    assert "urn:todo:problem" not in reader.output
    *_, found, view, bulk = [json.loads(line) for line in reader.output.splitlines()]
    assert [task["title"] for task in found] == ["Call the plumber", "Water the plants"]
    assert view["parameters"] == {"filter": "is:open AND due < today+7d"}
    assert [item["status"] for item in bulk["results"]] == ["updated"]


async def test_the_examples_find_what_the_page_says(server: Server, reader: Reader) -> None:
    assert len(EXAMPLES) >= 20
    wrong = {}
    async with server.person(reader.subject) as person:
        for text, expected in EXAMPLES.items():
            answer = await person.get("/tasks", params={"filter": text})
            assert answer.status_code == 200, f"{text}: {answer.text}"
            titles = sorted(task["title"] for task in answer.json())
            if titles != sorted(expected):
                wrong[text] = titles
    assert wrong == {}
