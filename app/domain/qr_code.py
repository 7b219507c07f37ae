"""QR codes, drawn as the path of an SVG."""

from itertools import groupby
from typing import NamedTuple

QUIET_BORDER = 4  # modules


class QrCode(NamedTuple):
    """``path`` in a square of ``size`` modules, which has a quiet border already."""

    size: int
    path: str


def draw_qr_code(text: str) -> QrCode:
    import segno

    code = segno.make(text, error="m", micro=False)
    rows = list(code.matrix_iter(border=QUIET_BORDER))
    pieces = []
    for y, row in enumerate(rows):
        x = 0
        for is_dark, run in groupby(row):
            width = len(list(run))
            if is_dark:
                pieces.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    return QrCode(len(rows), "".join(pieces))
