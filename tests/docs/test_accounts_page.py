"""The commands of docs/accounts.md, run as a new user runs them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import anyio
import httpx
import pytest

from tests.accounts.test_two_processes import answers, serve
from tests.ports import free_port

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text()


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs bash and curl")
async def test_the_commands_of_the_accounts_page_work(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = serve(port, {"ACCESS_TTL": "2", "DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)})
    try:
        async with httpx.AsyncClient() as http:
            with anyio.fail_after(30):
                while not await answers(http, url):  # noqa: ASYNC110 - of another process
                    await anyio.sleep(0.1)
        done = await anyio.run_process(
            ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8000", url)],
            env={"PATH": os.environ["PATH"]}, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)
    said = done.stdout.decode()
    assert done.returncode == 0, said
    found = re.findall(r'"code":"(\w+)"', said)
    # The laptop's token may have expired before it is refused as ended.
    assert found[:1] + found[2:] == ["token_expired", "refresh_token_invalid", "insufficient_scope"], said
    assert found[1] in {"session_ended", "token_expired"}
    assert said.count('"title":"Buy milk"') >= 4
    assert '"exported_at"' in said
