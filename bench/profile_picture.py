"""Draw what a conversation costs as an SVG: a bar of all, its threads below it, their steps below these."""

from __future__ import annotations

from html import escape
from pathlib import Path

WIDE, HIGH, TOP = 860, 26, 24
STYLE = "font-family='sans-serif' font-size='11'"
COLOURS = {"read ahead": "#bfdbfe", "name": "#bbf7d0", "write behind": "#fde68a"}
ROOT = "a conversation"
# A letter's width, about.
LETTER = 6.2


def draw(steps: dict[str, float], path: Path) -> None:
    """Write the picture. Args: steps: nanoseconds by path of steps, joined by " > "."""
    parts = {tuple(name.split(" > ")): value for name, value in steps.items() if value > 0}
    whole = sum(value for one, value in parts.items() if len(one) == 1)
    bars = [_bar(0, WIDE, 0, f"{ROOT}, beyond its packets", whole, "#e5e7eb")]
    bars += _below((), 0.0, WIDE / whole, parts)
    height = TOP + HIGH * (1 + max(map(len, parts))) + 8
    path.write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDE} {height}' width='{WIDE}' height='{height}'>"
        f"<rect width='100%' height='100%' fill='#fff'/><text x='0' y='15' {STYLE} fill='#555'>Microseconds of "
        "processor time; the second row is one thread each</text>" + "".join(bars) + "</svg>\n"
    )


def _below(above: tuple[str, ...], left: float, scale: float, parts: dict[tuple[str, ...], float]) -> list[str]:
    """Bars of the parts of one, the largest first."""
    bars = []
    mine = [(value, one) for one, value in parts.items() if one[:-1] == above]
    for value, one in sorted(mine, reverse=True):
        colour = COLOURS.get(one[0], "#e5e7eb")
        bars.append(_bar(left, value * scale, len(one), one[-1], value, colour))
        bars += _below(one, left, scale, parts)
        left += value * scale
    return bars


def _bar(left: float, width: float, depth: int, name: str, value: float, colour: str) -> str:
    words = f"{name} {value / 1000:.2f}"
    fits = next((one for one in (words, name) if len(one) * LETTER < width), "")
    top = TOP + depth * HIGH
    text = f"<text x='{left + 4:.1f}' y='{top + 16}' {STYLE} fill='#111'>{escape(fits)}</text>" if fits else ""
    return (
        f"<g><title>{escape(words)}</title><rect x='{left:.1f}' y='{top}' width='{max(width, 0.5):.1f}' "
        f"height='{HIGH - 2}' fill='{colour}' stroke='#fff'/>{text}</g>"
    )
