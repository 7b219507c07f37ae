"""The files of the project, and what their docstrings and comments consist of."""

import ast
import io
import subprocess
import tokenize
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
VENDORED_FOLDERS = ("app/static/swagger/", "app/static/vendor/")
TEXT_SUFFIXES = {
    ".css",
    ".html",
    ".js",
    ".json",
    ".md",
    ".mjs",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".ts",
    ".txt",
    ".yaml",
    ".yml",
}
OTHER_TEXTS = {".env.example", "Makefile", "Dockerfile", ".ci/run"}
GENERATED_FILES = {"package-lock.json"}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def tracked_files() -> list[str]:
    """Returns the paths of the files that Git tracks, or without Git those of the sources' folders."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.decode().split("\0") if name]
    skipped = {".venv", ".git", "node_modules", "data", "__pycache__"}
    paths = [path.relative_to(ROOT) for path in sorted(ROOT.rglob("*")) if path.is_file()]
    return [path.as_posix() for path in paths if not skipped & set(path.parts)]


@cache
def project_files() -> tuple[str, ...]:
    """Returns the paths of tracked files, without vendored and deleted ones."""
    own = (name for name in tracked_files() if not name.startswith(VENDORED_FOLDERS))
    return tuple(name for name in own if (ROOT / name).is_file())


@cache
def text_files() -> tuple[str, ...]:
    """Returns the paths of sources, documents and configuration."""
    return tuple(
        name
        for name in project_files()
        if (Path(name).suffix in TEXT_SUFFIXES and name not in GENERATED_FILES) or name in OTHER_TEXTS
    )


class Module(NamedTuple):
    """A Python file, taken apart."""

    names: set[str]
    strings: list[str]  # without docstrings
    prose: list[tuple[int, str]]  # docstrings and comments, with the numbers of their lines


@cache
def read_module(name: str) -> Module:
    text = (ROOT / name).read_text()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    nodes = list(ast.walk(ast.parse(text)))
    prose = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    described = set()
    for node in nodes:
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            assert isinstance(node.body[0], ast.Expr)
            docstring = node.body[0].value
            described.add(docstring)
            prose += enumerate(ast.literal_eval(docstring).split("\n"), docstring.lineno)
    strings = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in described
    ]
    return Module({token.string for token in tokens if token.type == tokenize.NAME}, strings, prose)
