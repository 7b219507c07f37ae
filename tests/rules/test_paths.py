"""Only ``app/http/paths.py`` makes the paths and URLs in responses: any other place would leave the prefix of a proxy,
or would send what a user typed into a header."""

import ast
import re
from collections.abc import Iterator

from tests.rules.test_architecture import Source, assert_no_file_breaks, imports, sources

MAKERS = {"path_of", "url_of", "redirect_url", "owner_url", "well_known_url", "request_path", "item_path", "row_path"}
MAKERS.add("well_known_path")
# Declarations of routes, and comparisons with paths of this service without their prefix.
DECLARATIONS = {"APIRouter", "get", "post", "put", "patch", "delete"}
COMPARED = {"COOKIE_NAME", "METADATA_PATH", "UNLIMITED_PATHS", "COUNTED_ELSEWHERE", "STATIC_PREFIXES"}
COMPARED |= {"CONSENT_COOKIE", "SERVER_METADATA_PATH"}
READERS = {"app/http/paths.py", "app/http/proxies.py", "app/http/route_index.py", "app/http/middleware.py"}
OWN_PATH = re.compile(r"/(api|app|docs|oauth|openapi\.json|mcp|health|ready|metrics|\.well-known)(/|$)|[^<]*=['\"]/")
SCOPE_PATHS = {"path", "root_path", "raw_path"}
SCOPE_PATHS = {"path", "root_path", "raw_path"}
LEADING = {"Location", "Link", "Content-Location", "Refresh"}  # headers that hold a path
RESPONDING = ("app/routers/", "app/http/", "app/live/", "app/server/", "app/assistant/")


def responding() -> list[Source]:
    return [source for source in sources() if source.name.startswith(RESPONDING)]


def called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def texts(source: Source) -> Iterator[ast.AST]:
    """Yields the strings of a file that are neither docstrings nor within a call or constant that may hold a path."""
    waiting: list[ast.AST] = [source.tree]
    while waiting:
        node = waiting.pop()
        if called(node) in MAKERS | DECLARATIONS:
            continue
        if isinstance(node, ast.Assign):
            names = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if names & COMPARED:
                continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Constant | ast.JoinedStr):
            yield node
        waiting += ast.iter_child_nodes(node)


def test_no_other_module_writes_a_path_into_a_response() -> None:
    def writes(source: Source) -> Iterator[str]:
        for node in texts(source):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and OWN_PATH.match(node.value):
                yield f"line {node.lineno}: {node.value[:40]!r}"

    # The client of /mcp sends requests.
    assert_no_file_breaks(writes, "app/http/paths.py", "app/assistant/mcp/stdio_proxy.py", files=responding())


def test_headers_with_a_path_have_it_from_there() -> None:
    def leads(source: Source) -> Iterator[str]:
        for node in source.nodes:
            pairs: list[tuple[object, ast.AST]] = []
            if isinstance(node, ast.Dict):
                pairs = [
                    (key.value, value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                ]
            elif isinstance(node, ast.Call):
                pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
            elif isinstance(node, ast.Assign):
                keys = [target.slice for target in node.targets if isinstance(target, ast.Subscript)]
                pairs = [(key.value, node.value) for key in keys if isinstance(key, ast.Constant)]
            yield from (
                f"line {value.lineno}"  # type: ignore[attr-defined]
                for name, value in pairs
                if name in LEADING and called(value) not in MAKERS | {"link_header"}
            )

    assert_no_file_breaks(leads, files=responding())


def test_only_these_modules_read_where_a_request_was_sent() -> None:
    def reads(source: Source) -> Iterator[str]:
        yield from (i for i in imports(source.nodes) if i == "urllib.parse.quote")
        for node in source.nodes:
            if isinstance(node, ast.Attribute) and node.attr in {"base_url", "root_path", "url_for", "url_path_for"}:
                yield f"line {node.lineno}: {node.attr}"
            if isinstance(node, ast.Subscript) and getattr(node.slice, "value", "") in SCOPE_PATHS:
                yield f"line {node.lineno}: a path of the scope"

    assert_no_file_breaks(reads, *READERS, files=responding())
