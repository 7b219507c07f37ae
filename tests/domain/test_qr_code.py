"""QR codes, read back by the patterns that every reader looks for."""

import re

from app.domain.qr_code import QUIET_BORDER, draw_qr_code


def pixels(size: int, path: str) -> list[str]:
    rows = [[" "] * size for _ in range(size)]
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path):
        rows[int(y)][int(x) : int(x) + int(width)] = "#" * int(width)
    return ["".join(row) for row in rows]


def test_a_code_has_its_finder_patterns_and_a_quiet_border() -> None:
    size, path = draw_qr_code("otpauth://totp/x")
    assert re.fullmatch(r"(M\d+ \d+h\d+v1h-\d+z)+", path)
    rows = pixels(size, path)
    border = " " * QUIET_BORDER
    finder = ["#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######"]
    inner = [row[QUIET_BORDER:-QUIET_BORDER] for row in rows[QUIET_BORDER:-QUIET_BORDER]]
    assert [row[:7] for row in inner[:7]] == finder
    assert [row[-7:] for row in inner[:7]] == finder
    assert [row[:7] for row in inner[-7:]] == finder
    assert all(row.startswith(border) and row.endswith(border) for row in rows)
    assert {*rows[:QUIET_BORDER], *rows[-QUIET_BORDER:]} == {" " * size}


def test_different_texts_have_different_codes() -> None:
    assert draw_qr_code("otpauth://totp/x") != draw_qr_code("otpauth://totp/y")
