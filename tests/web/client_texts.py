"""Reads the modules of the web client: the texts that are looked up in a catalogue, and those that are not.

A tolerant reader of JavaScript, not a parser: it knows strings, templates, comments and nesting.
"""

import re
from collections.abc import Iterator
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "app" / "static" / "app"
TEXT_ATTRIBUTES = ("aria-label", "aria-description", "aria-roledescription", "alt", "title", "placeholder")
# Of components: what they show.
TEXT_PROPS = ("label", "about", "question", "help")
WORDS = re.compile(r"[^\W\d_]{2}")
STRING = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")
CALL = re.compile(r"(?<![\w.$])(tn|tt|t)\(\s*")
# A string that an expression may return: not a key, an argument or a side of a comparison.
RETURNED = re.compile(r"(?:^|\?\?|\|\||&&|[?:]|=>)\s*(\x00\d+\x00)\s*(?=$|[:)])")
# Calls and properties whose text a person reads, outside of templates.
SPOKEN = re.compile(
    r"""(?:(?<![\w.$])(?:toast|announce)\(|(?<![\w.$])label:|document\.title\s*=|new\sError\()\s*["'`](?=[^"'`$]*[^\W\d_]{2})"""
)


def modules() -> Iterator[tuple[str, str]]:
    """Yields the names of the modules that have texts, and their sources without comments."""
    for path in sorted(CLIENT.rglob("*.js")):
        name = path.relative_to(CLIENT).as_posix()
        if not name.startswith(("vendor/", "languages/")):
            yield name, re.sub(r"/\*.*?\*/|(?m:^\s*//[^\n]*$)", "", path.read_text(), flags=re.DOTALL)


def unquote(literal: str) -> str:
    """Returns the value of a JavaScript string."""
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def looked_up(source: str) -> Iterator[tuple[str, str | None]]:
    """Yields each function of the catalogue that is called with a text, and the text; None if it is no literal."""
    for call in CALL.finditer(source):
        at = call.end()
        for _ in range(2 if call[1] == "tn" else 1):
            literal = STRING.match(source, at)
            yield call[1], unquote(literal[0]) if literal else None
            at = len(literal[0]) + at if literal else at
            at += len(source[at:]) - len(source[at:].lstrip(", \n"))


def end_of(source: str, at: int) -> int:
    """Returns where an expression in a template ends, whose first character is at ``at``: at its brace."""
    depth = 0
    while source[at] != "}" or depth:
        character = source[at]
        if character in "\"'":
            literal = STRING.match(source, at)
            at = literal.end() if literal else at + 1
            continue
        if character == "`":
            at = template_end(source, at + 1) + 1
            continue
        depth += (character in "{([") - (character in "})]")
        at += 1
    return at


def template_end(source: str, at: int) -> int:
    """Returns where a template ends that begins at ``at``."""
    while source[at] != "`":
        if source.startswith("${", at):
            at = end_of(source, at + 2)
        at += 2 if source[at] == "\\" else 1
    return at


def untranslated(source: str) -> Iterator[str]:
    """Yields the texts of templates and of messages that no catalogue is asked for."""
    for found in re.finditer(r"(?<![\w$])html`", source):
        yield from _of_template(source[found.end() : template_end(source, found.end())])
    for found in SPOKEN.finditer(source):
        yield source[found.start() : found.end() + 30]


def _of_template(template: str) -> Iterator[str]:
    """Yields the literal texts among elements and in the attributes that people read."""
    at, in_tag, text, name = 0, False, "", ""
    skipped = False  # inside of code
    while at < len(template):
        if template.startswith("${", at):
            end = end_of(template + "}", at + 2)
            attribute = re.search(r"([\w-]+)=$", template[:at]) if in_tag else None
            if not in_tag or (attribute and attribute[1] in (*TEXT_ATTRIBUTES, *TEXT_PROPS)):
                yield from _of_expression(template[at + 2 : end])
            at = end + 1
        elif in_tag and (value := re.match(r'([\w-]+)="([^"]*)"', template[at:])):
            if value[1] in (*TEXT_ATTRIBUTES, *TEXT_PROPS) and WORDS.search(value[2]):
                yield value[2]
            at += value.end()
        elif template[at] == "<" and not in_tag:
            if WORDS.search(text) and not skipped:
                yield text.strip()
            in_tag, text = True, ""
            name = (re.match(r"</?[\w$]*", template[at:]) or [""])[0]
            at += 1
        elif template[at] == ">" and in_tag:
            in_tag, skipped = False, name == "<code"
            at += 1
        else:
            text += "" if in_tag else template[at]
            at += 1
    if WORDS.search(text):
        yield text.strip()


def _of_expression(expression: str) -> Iterator[str]:
    """Yields the literal texts that an expression may return."""
    literals: list[str] = []
    plain, at = "", 0
    while at < len(expression):
        if call := CALL.match(expression, at):
            at = _after_call(expression, call.end())
            plain += "()"
        elif expression.startswith("html`", at):
            at = template_end(expression, at + 5) + 1
            plain += "()"
        elif expression[at] == "`" or (expression[at] in "\"'" and STRING.match(expression, at)):
            literal = STRING.match(expression, at)
            end = literal.end() if literal else template_end(expression, at + 1) + 1
            literals.append(expression[at:end])
            plain += f"\x00{len(literals) - 1}\x00"
            at = end
        else:
            plain += expression[at]
            at += 1
    for found in RETURNED.finditer(plain.strip()):
        literal_text = literals[int(found[1].strip("\x00"))]
        if WORDS.search(_without_expressions(literal_text)):
            yield literal_text


def _without_expressions(template: str) -> str:
    while (at := template.find("${")) >= 0:
        template = template[:at] + template[end_of(template, at + 2) + 1 :]
    return template


def _after_call(source: str, at: int) -> int:
    """Returns what follows a call whose arguments begin at ``at``."""
    depth = 1
    while depth:
        if source[at] == "`":
            at = template_end(source, at + 1)
        elif literal := STRING.match(source, at):
            at = literal.end() - 1
        depth += (source[at] == "(") - (source[at] == ")")
        at += 1
    return at
