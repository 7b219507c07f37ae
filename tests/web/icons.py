"""``python -m tests.web.icons``: the client's icons as PNG, drawn by Chromium from ``icon.svg``."""

import base64
import tempfile
from pathlib import Path

from app.routers.web_client import CLIENT_FOLDER
from tests.browser import browsing, find_browser

GREEN = "#1d6b5a"  # of icon.svg
ICONS = {  # its size, and of what part of it the mark is; a maskable icon is cut to any shape, an Apple one is rounded
    "icon-192.png": (192, 1.0, "transparent"),
    "icon-512.png": (512, 1.0, "transparent"),
    "icon-180.png": (180, 0.9, GREEN),
    "icon-maskable-512.png": (512, 0.8, GREEN),
}


def main() -> None:
    binary = find_browser()
    assert binary, "no Chromium on this machine"
    source = base64.b64encode((CLIENT_FOLDER / "icon.svg").read_bytes()).decode()
    with tempfile.TemporaryDirectory() as profile, browsing(binary, Path(profile)) as browser:
        page = browser.first_page()
        for name, (size, part, ground) in ICONS.items():
            page.call("Emulation.setDeviceMetricsOverride", width=size, height=size, deviceScaleFactor=1, mobile=False)
            page.call("Emulation.setDefaultBackgroundColorOverride", color={"r": 0, "g": 0, "b": 0, "a": 0})
            style = f"margin:0;height:100vh;display:grid;place-items:center;background:{ground}"
            image = f'<img src="data:image/svg+xml;base64,{source}" width="{round(size * part)}">'
            page.run(f"document.documentElement.innerHTML = `<body style='{style}'>{image}</body>`; 0")
            page.run("document.querySelector('img').decode().then(() => 0)")
            picture = page.call("Page.captureScreenshot", format="png")["data"]
            (CLIENT_FOLDER / name).write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main()
