"""The sizes, colours and time zones in which people see the web client, and what must never be seen in any of them."""

from typing import NamedTuple

from tests.web.window import Window


class Look(NamedTuple):
    width: int = 1440
    height: int = 900
    colours: str = "light"  # or dark, or forced
    zone: str = "UTC"
    touch: bool = False
    calm: bool = False  # without motion

    def apply(self, window: Window) -> None:
        """Shows the window so, until it is closed."""
        phone = self.width < 500
        page = window.page
        size = {"width": self.width, "height": self.height, "deviceScaleFactor": 1, "mobile": phone}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if self.colours == "dark" else "light"},
            {"name": "forced-colors", "value": "active" if self.colours == "forced" else "none"},
            {"name": "prefers-reduced-motion", "value": "reduce" if self.calm else "no-preference"},
        ]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.call("Emulation.setTouchEmulationEnabled", enabled=self.touch or phone)
        page.call("Emulation.setTimezoneOverride", timezoneId=self.zone)


SIZES = [(1440, 900), (390, 844), (320, 640)]
COLOURS = ["light", "dark", "forced"]
ZONES = ["UTC", "Pacific/Auckland", "America/Los_Angeles"]
ARABIC = "اشتر الحليب والخبز من المتجر القريب"
OVERRIDE = "look at \u202elive"  # turns around what follows it
LONG = "A project with quite a long name, which nobody shortened"

# Words that are broken where they need not be, texts that are squeezed or stand out of the page.
FAULTS = """(() => {
    const found = [];
    const root = document.scrollingElement;
    if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} pixels wide`);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    for (let node; (node = walker.nextNode()); ) {
        const parent = node.parentElement;
        const style = { contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true };
        if (!parent.checkVisibility(style) || parent.closest(".unseen, option, script, noscript, .skip")) continue;
        for (const { 0: word, index } of node.data.matchAll(/[^\\s-]+/g)) {
            if (word.length > 18) continue;
            range.setStart(node, index);
            range.setEnd(node, index + word.length);
            const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
            const lines = new Set(boxes.map((box) => Math.round(box.top))).size;
            if (lines > 1) found.push(`"${word}" is broken into ${lines} lines in ${parent.outerHTML.slice(0, 80)}`);
        }
    }
    for (const field of document.querySelectorAll("textarea, input")) {
        if (!field.checkVisibility() || field.type === "checkbox") continue;
        const { height } = field.getBoundingClientRect();
        const isCut = field.matches("textarea") && field.scrollHeight > field.clientHeight + 4;
        if (height < 18 || isCut) found.push(`${field.id} is ${height} pixels high${isCut ? ", and cut" : ""}`);
    }
    return JSON.stringify(found);
})()"""
