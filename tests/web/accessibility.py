"""Measurements of the accessibility of a page: axe-core, and scripts for what axe does not compute."""

import json
from pathlib import Path

from tests.browser import Page

AXE_FILE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "experimental"]
# It says of everything hidden that it was not looked at: the walk shows it.
ALL_RULES = {"runOnly": {"type": "tag", "values": AXE_TAGS}, "rules": {"hidden-content": {"enabled": False}}}
AXE_RUN = """axe.run(%s).then(({violations, incomplete}) => JSON.stringify([violations, incomplete].map((rules) =>
    rules.flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
        ({ rule: id, target: target[0], text: `${id}: ${html.slice(0, 160)} ${failureSummary}` }))))))"""


def run_axe(page: Page, *, only_contrast: bool = False) -> list[str]:
    """Returns what axe finds by all its rules, or by the one that depends on colours, and what it cannot decide.

    It does not know the ground of what is scrolled out of a box, or lies below something: that is looked at again.
    """
    if not page.run("'axe' in window"):
        page.run(f"{AXE_FILE.read_text()}; undefined")
    options = {"runOnly": ["color-contrast"]} if only_contrast else ALL_RULES
    violations, undecided = json.loads(page.run(AXE_RUN % json.dumps(options)))
    hidden = [one["target"] for one in undecided if one["rule"] == "color-contrast"]
    others = [one for one in undecided if one["rule"] != "color-contrast"]
    found = [one["text"] for one in violations + others]
    return found + (measure(page, DECIDE % json.dumps(hidden)) if hidden else [])


# Colours as numbers, what lies behind an element, and the elements that a person can use.
HELPERS = """
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
    const behind = (element) => {
        const layers = [];
        for (let one = element; one; one = one.parentElement) {
            const color = rgba(getComputedStyle(one).backgroundColor);
            layers.push(color);
            if (color[3] === 1) break;
        }
        return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const light = ([r, g, b]) => {
        const linear = (value) => (value / 255 <= 0.04045 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const contrast = (color, ground) => {
        const [low, high] = [light(over(rgba(color), ground)), light(ground)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const say = (element) => element.outerHTML.slice(0, 140);
    const style = { contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true };
    const isSeen = (element) => element.checkVisibility(style) && !element.closest(".unseen, [inert]");
    const top = document.querySelector("dialog[open]") ?? document;
    const USABLE = "a[href], button, input, select, textarea, summary";
    const usable = [...top.querySelectorAll(USABLE)].filter((one) => isSeen(one) && !one.disabled);
    const found = [];
"""

# WCAG 1.4.3, for what axe could not decide: where it can be seen, nothing lies above it, and its colours are known.
DECIDE = """
    for (const selector of %s) {
        const element = document.querySelector(selector);
        element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
        const { left, top: upper, width, height } = element.getBoundingClientRect();
        const above = document.elementFromPoint(left + width / 2, upper + height / 2);
        if (!above || !(element.contains(above) || above.contains(element))) found.push(`covered: ${say(element)}`);
        const looks = getComputedStyle(element);
        const size = parseFloat(looks.fontSize);
        const needed = size >= 24 || (size >= 18.66 && Number(looks.fontWeight) >= 700) ? 3 : 4.5;
        const ratio = contrast(looks.color, behind(element));
        if (ratio < needed) found.push(`contrast: ${ratio.toFixed(2)}:1 of ${say(element)}`);
    }
"""

# WCAG 1.4.11: where a field or a check box has a line around it, 3:1. Without one it is known by its text.
BORDERS = """
    for (const field of top.querySelectorAll("input, select, textarea, [role=checkbox], .quick-add .line")) {
        if (!isSeen(field) || field.type === "checkbox" || field.disabled) continue;
        const looks = getComputedStyle(field);
        if (looks.borderTopWidth === "0px" || rgba(looks.borderTopColor)[3] === 0) continue;
        if (field.getAttribute("aria-checked") === "true") continue; // filled
        const ratio = contrast(looks.borderTopColor, behind(field.parentElement));
        if (ratio < 3) found.push(`${ratio.toFixed(2)}:1 around ${say(field)}`);
    }
"""

# WCAG 2.4.7, 2.4.11, 1.4.11: what has the focus is marked at 3:1, and nothing lies above it.
FOCUS = """
    const before = document.activeElement;
    const isOfLine = (element) => element.matches(":is(.quick-add, .palette) input");
    const lineOf = (element) => (isOfLine(element) ? element.closest(".line") : element);
    const looksOf = (element) => {
        const { outlineStyle, outlineWidth, outlineColor, outlineOffset } = getComputedStyle(lineOf(element));
        return { outlineStyle, outlineWidth, outlineColor, outlineOffset };
    };
    for (const element of usable) {
        if (element.tabIndex < 0 || !element.isConnected || !isSeen(element)) continue;
        if (element === document.activeElement) element.blur();
        const usual = JSON.stringify(looksOf(element));
        element.focus({ focusVisible: true });
        if (document.activeElement !== element) continue; // it closed with the blur of another one
        const looks = looksOf(element);
        const ground = parseFloat(looks.outlineOffset) < 0 ? lineOf(element) : lineOf(element).parentElement;
        const ratio = contrast(looks.outlineColor, behind(ground));
        const isMarked = looks.outlineStyle !== "none" && parseFloat(looks.outlineWidth) >= 2 && ratio >= 3;
        if (!isMarked || JSON.stringify(looks) === usual) {
            found.push(`focus: ${JSON.stringify(looks)} ${ratio.toFixed(2)}:1 at ${say(element)}`);
        }
        const { left, top: upper, width, height } = element.getBoundingClientRect();
        const isOnTop = ([x, y]) => {
            const above = document.elementFromPoint(left + width * x, upper + height * y);
            return above && [element, element.labels?.[0]].some((one) => one?.contains(above) || above.contains(one));
        };
        const isLarge = width > 200 || height > 100; // then a part of it is enough
        const points = [[0.5, 0.5], [0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.8]];
        if (!points.slice(0, isLarge ? 5 : 1).some(isOnTop)) found.push(`covered: ${say(element)}`);
    }
    before?.focus?.();
"""

# WCAG 2.5.8: what can be pressed takes so many pixels each way, with its label. A link in a sentence is as high as it.
TARGETS = """
    const size = %d;
    const away = size / 2 - 1;
    const isInSentence = (element) => {
        const words = element.closest("p, .markdown")?.textContent ?? "";
        return element.matches("a, .link") && words.length > element.textContent.length + 4;
    };
    for (const element of usable) {
        if (isInSentence(element)) continue;
        element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
        const label = element.closest("label") ?? (element.type === "checkbox" ? element.labels[0] : null);
        const box = (label ?? element).getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        const isHit = (dx, dy) => {
            const hit = document.elementFromPoint(x + dx, y + dy);
            return !hit || element.contains(hit) || label?.contains(hit);
        };
        const wide = box.width >= size || (isHit(-away, 0) && isHit(away, 0));
        const high = box.height >= size || (isHit(0, -away) && isHit(0, away));
        if (!wide || !high) found.push(`${box.width.toFixed(0)}x${box.height.toFixed(0)}: ${say(element)}`);
    }
"""
# iOS enlarges the page when a field with smaller text gets the focus.
FIELD_TEXT = """
    const other = "[type=checkbox], [type=color], [type=file]";
    for (const field of top.querySelectorAll(`input:not(${other}), select, textarea`)) {
        const size = parseFloat(getComputedStyle(field).fontSize);
        if (isSeen(field) && size < 16) found.push(`text of ${size}px: ${say(field)}`);
    }
"""

# WCAG 1.4.12: the distances that a person may set, and that no text is cut by them.
SPACING = """
    const sheet = new CSSStyleSheet();
    const distances = "line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important";
    sheet.replaceSync(`* { ${distances} } p { margin-bottom: 2em !important }`);
    document.adoptedStyleSheets = [sheet];
"""
CUT = """
    for (const element of document.querySelectorAll("body *")) {
        const looks = getComputedStyle(element);
        if (!/hidden|clip/.test(looks.overflowX + looks.overflowY) || !isSeen(element)) continue;
        if (looks.textOverflow === "ellipsis" || looks.webkitLineClamp !== "none") continue;
        if (!element.textContent.trim() || element.closest("svg, select")) continue;
        const more = [element.scrollWidth - element.clientWidth, element.scrollHeight - element.clientHeight];
        if (Math.max(...more) > 2) found.push(`cut by ${more} pixels: ${say(element)}`);
    }
    document.adoptedStyleSheets = [];
"""

MOTION = """
    const moves = (element) => ["", "::before", "::after"].some((pseudo) => {
        const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(element, pseudo);
        return animationName !== "none" || parseFloat(transitionDuration) > 0 || scrollBehavior === "smooth";
    });
    found.push(...[...document.querySelectorAll("*")].filter(moves).map(say));
    found.push(...document.getAnimations().map((one) => `runs: ${one.animationName ?? one.transitionProperty}`));
"""


def measure(page: Page, script: str) -> list[str]:
    """Returns what the script pushes to ``found``."""
    return list(json.loads(page.run(f"(() => {{ {HELPERS} {script} return JSON.stringify(found); }})()")))
