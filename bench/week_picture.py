"""Draw the week as an SVG: three small charts over the same days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDE, HIGH, LEFT, TOP = 220, 130, 46, 44
STYLE = "font-family='sans-serif' font-size='11' fill='#555'"
CHARTS = (
    ("store, MB", "store_mb", ",.0f"),
    ("recorder's memory, MB", "memory_mb", ",.0f"),
    ("who, s", "who_cpu", ".2f"),
)


def draw(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Write the charts of what was measured after each day, each from zero."""
    parts = [_chart(rows, place, *chart) for place, chart in enumerate(CHARTS)]
    width, height = len(CHARTS) * (WIDE + LEFT) + 20, TOP + HIGH + 40
    path.write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
        f"<rect width='100%' height='100%' fill='#fff'/><text x='{LEFT}' y='16' {STYLE}>A week, {title}</text>"
        + "".join(parts)
        + "</svg>\n"
    )


def _chart(rows: list[dict[str, Any]], place: int, title: str, key: str, form: str) -> str:
    left = LEFT + place * (WIDE + LEFT)
    most = max(float(row[key]) for row in rows) * 1.1
    days = max(int(row["day"]) for row in rows)
    dots = [
        (left + (row["day"] - 1) * WIDE / max(days, 2), TOP + HIGH * (1 - row[key] / most), row[key]) for row in rows
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
    marks = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.5' fill='#2563eb'/>" for x, y, _ in dots)
    words = "".join(
        f"<text x='{x:.1f}' y='{TOP + HIGH + 16}' {STYLE}>{row['day']}</text>"
        for row, (x, _, _) in zip(rows, dots, strict=True)
    )
    return (
        f"<text x='{left}' y='{TOP - 10}' {STYLE}>{title}</text>"
        f"<path d='M{left} {TOP}V{TOP + HIGH}H{left + WIDE}' stroke='#999' fill='none'/>"
        f"<text x='{left - 4}' y='{TOP + 8}' text-anchor='end' {STYLE}>{most:{form}}</text>"
        f"<polyline points='{line}' fill='none' stroke='#2563eb' stroke-width='1.5'/>{marks}{words}"
        f"<text x='{dots[-1][0]:.1f}' y='{dots[-1][1] - 6:.1f}' text-anchor='end' {STYLE}>{dots[-1][2]:{form}}</text>"
        f"<text x='{left + WIDE}' y='{TOP + HIGH + 30}' text-anchor='end' {STYLE}>day</text>"
    )
