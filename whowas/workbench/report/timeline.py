"""Flows over time as a picture: a bar a bucket, parts of it by the confidence of the weaker end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from whowas.workbench.api.overview import Histogram
from whowas.workbench.api.who import Gap
from whowas.workbench.report.markup import Html, count, moment, tag
from whowas.workbench.report.sureness import look, rank

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 190, 70, 12, 24
MOST_BARS = 400
MINUTE = 60_000_000


class Axis:
    """Times from since until until, us, along the width of a picture."""

    def __init__(self, since: int, until: int, left: int = LEFT, right: int = WIDTH - 8) -> None:
        self.since, self.until = since, max(until, since + 1)
        self.left, self.right = left, right

    def x(self, us: int | None, open_at: int) -> float:
        """Where a time lies; what lies outside stands at the edge. open_at: for None."""
        at = min(max(open_at if us is None else us, self.since), self.until)
        return round(self.left + (at - self.since) / (self.until - self.since) * (self.right - self.left), 2)

    def ends(self, y: float) -> list[Html]:
        """Both ends of the axis in words."""
        told = ((self.since, self.left, "start"), (self.until, self.right, "end"))
        return [svg_text(x, y, moment(us, 0), text_anchor=anchor) for us, x, anchor in told]


def svg_text(x: float, y: float, value: object, size: float = 11, **attributes: object) -> Html:
    """Words in a picture."""
    font = "system-ui, sans-serif"
    return tag("text", value, x=x, y=y, font_size=size, font_family=font, fill="#1b1f24", **attributes)


def coarser(told: Histogram) -> tuple[int, dict[int, dict[str, tuple[int, int]]]]:
    """Buckets, few enough to be drawn: their length, and by start flows and bytes of each confidence."""
    if not told.time:
        return told.bucket, {}
    number = (max(told.time) - min(told.time)) // told.bucket + 1
    size = told.bucket * -(-number // MOST_BARS)
    first = min(told.time)
    found: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for at, sure, flows, length in zip(told.time, told.confidence, told.flows, told.bytes, strict=True):
        start = first + (at - first) // size * size
        before = found[start].get(sure, (0, 0))
        found[start][sure] = (before[0] + flows, before[1] + length)
    return size, dict(sorted(found.items()))


def draw(told: Histogram, gaps: list[Gap], span: tuple[int, int] | None) -> Html:
    """The picture. span: us, of its axis; None: of what there is."""
    size, buckets = coarser(told)
    if not buckets:
        return tag("p", "No flow of these tells when it started.")
    axis = Axis(*(span or (min(buckets), max(buckets) + size)))
    most = max(sum(flows for flows, _ in one.values()) for one in buckets.values())
    parts = [*_grid(axis, most), *_gaps(axis, gaps)]
    for start, one in buckets.items():
        parts += _bar(axis, start, size, one, most)
    label = f"Flows over time, at most {count(most)} in {length(size)}"
    return tag("svg", tag("title", label), *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", width="100%", role="img")


def length(us: int) -> str:
    """How long a bucket is, in words."""
    for unit, word in ((86_400_000_000, "day"), (3_600_000_000, "hour"), (MINUTE, "minute"), (1_000_000, "second")):
        if us % unit == 0:
            return f"{us // unit} {word}{'' if us == unit else 's'}"
    return f"{us} us"


def _grid(axis: Axis, most: int) -> list[Html]:
    floor = HEIGHT - BOTTOM
    line = tag("line", x1=axis.left, x2=axis.right, y1=floor, y2=floor, stroke="#57606a", stroke_width=1)
    top = tag("line", x1=axis.left, x2=axis.right, y1=TOP, y2=TOP, stroke="#d0d7de", stroke_width=1)
    words = [svg_text(axis.left - 6, y, told, text_anchor="end") for y, told in ((TOP + 4, count(most)), (floor, "0"))]
    return [line, top, *words, *axis.ends(HEIGHT - 6)]


def _gaps(axis: Axis, gaps: list[Gap]) -> list[Html]:
    found = []
    for gap in gaps:
        left, right = axis.x(gap.since, axis.since), axis.x(gap.until, axis.until)
        if right > left:
            told = f"nobody was looking: {gap.why}"
            found.append(
                tag(
                    "rect", tag("title", told), x=left, y=TOP, width=round(right - left, 2),
                    height=HEIGHT - BOTTOM - TOP, fill="#eceff2", stroke="#8c959f", stroke_dasharray="2 3",
                )
            )  # fmt: skip
    return found


def _bar(axis: Axis, start: int, size: int, one: dict[str, tuple[int, int]], most: int) -> list[Html]:
    left, right = axis.x(start, axis.since), axis.x(start + size, axis.until)
    wide, floor, found = max(round(right - left - 0.6, 2), 0.8), float(HEIGHT - BOTTOM), []
    for sure in sorted(one, key=rank):
        flows = one[sure][0]
        tall = round(flows / most * (HEIGHT - BOTTOM - TOP), 2)
        floor = round(floor - tall, 2)
        told = tag("title", f"{moment(start, 0)}: {count(flows)} flows, weaker end {sure}")
        found.append(tag("rect", told, x=left, y=floor, width=wide, height=tall, **_filled(sure)))
    return found


def _filled(sure: str) -> dict[str, object]:
    """What is not certain is not filled whole."""
    drawn = look(sure)
    if drawn.dash is None:
        return {"fill": drawn.colour}
    return {
        "fill": drawn.colour, "fill_opacity": 0.45, "stroke": drawn.colour, "stroke_dasharray": drawn.dash,
        "stroke_width": 0.8,
    }  # fmt: skip


def legend(words: Sequence[str]) -> Html:
    """Which part of a bar is which."""
    items = []
    for sure in words:
        rect = tag("rect", x=2, y=3, width=26, height=14, **_filled(sure))
        items.append(tag("span", tag("svg", rect, width=30, height=20, role="presentation"), f" {sure} "))
    return tag("p", "From below: ", *items, class_="key")
