"""Who held an address as a picture: a lane a holder, what is certain solid, bounds fuzzy, gaps and flows beside."""

from __future__ import annotations

from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench.api.who import Lane, Who
from whowas.workbench.report.markup import Html, moment, tag
from whowas.workbench.report.timeline import TOP, WIDTH, Axis, svg_text

LEFT, LANE, BAR = 250, 30, 16
LETTERS = 36


def name_of(one: Lane) -> str:
    """Who holds, in words."""
    told = "/".join(part for part in (one.namespace, one.name) if part) or one.kind
    return told if one.kind == "pod" else f"{one.kind} {told}"


def axis_of(told: Who, span: tuple[int, int] | None, moments: list[int]) -> Axis:
    """The time that is shown: the range of the report, else all that the lanes tell."""
    if span is None:
        known = [us for one in told.lanes for us in (one.start_min, one.start_max, one.end_min, one.end_max)]
        times = [us for us in [*known, *moments] if us is not None and BEFORE_ALL < us < AFTER_ALL] or [0, 1]
        room = max((max(times) - min(times)) // 20, 1_000_000)
        span = min(times) - room, max(times) + room
    return Axis(*span, LEFT)


def draw(told: Who, span: tuple[int, int] | None, moments: list[int]) -> Html:
    """The picture. moments: us, of flows that matter."""
    axis = axis_of(told, span, moments)
    tall = TOP + LANE * max(len(told.lanes), 1) + 30
    parts = [_gap(axis, gap.since, gap.until, gap.why, tall) for gap in told.gaps]
    for row, one in enumerate(told.lanes):
        parts += _lane(axis, one, TOP + row * LANE)
    parts += [_moment(axis, us, tall) for us in moments]
    title = tag("title", f"Who held {told.what}: {len(told.lanes)} holders")
    box = f"0 0 {WIDTH} {tall}"
    return tag("svg", title, *parts, *axis.ends(tall - 6), viewBox=box, width="100%", role="img")


def _gap(axis: Axis, since: int | None, until: int | None, why: str, tall: int) -> Html:
    left, right = axis.x(since, axis.since), axis.x(until, axis.until)
    return tag(
        "rect", tag("title", f"nobody was looking: {why}"), x=left, y=TOP - 6, width=round(right - left, 2),
        height=tall - 30, fill="#eceff2", stroke="#8c959f", stroke_dasharray="2 3",
    )  # fmt: skip


def _moment(axis: Axis, us: int, tall: int) -> Html:
    x = axis.x(us, us)
    title = tag("title", f"a flow at {moment(us)}")
    return tag("line", title, x1=x, x2=x, y1=TOP - 8, y2=tall - 26, stroke="#b00020", stroke_width=1.2)


def _lane(axis: Axis, one: Lane, y: int) -> list[Html]:
    """Possible from start_min to end_max, certain from start_max to end_min where that is later."""
    shown = name_of(one)
    words = svg_text(6, y + BAR - 3, shown if len(shown) <= LETTERS else f"{shown[: LETTERS - 10]}…{shown[-9:]}", 12)
    first, last = axis.x(one.start_min, axis.since), axis.x(one.end_max, axis.until)
    title = tag(
        "title", f"{shown}: begins {bound(one.start_min, one.start_max)}, ends {bound(one.end_min, one.end_max, False)}"
    )
    fuzzy = tag(
        "rect", title, x=first, y=y, width=max(round(last - first, 2), 2), height=BAR, fill="#b35900",
        fill_opacity=0.18, stroke="#b35900", stroke_width=1, stroke_dasharray="3 2",
    )  # fmt: skip
    # A bound that is open makes nothing certain.
    sure_from, sure_to = one.start_max, one.end_min
    if sure_from is None or sure_to is None or sure_to <= sure_from or one.conflict:
        return [words, fuzzy]
    left, right = axis.x(sure_from, axis.since), axis.x(sure_to, axis.until)
    if right <= left:
        return [words, fuzzy]
    solid = tag(
        "rect", tag("title", f"{shown}: certain"), x=left, y=y, width=round(right - left, 2), height=BAR,
        fill="#15653a", stroke="#15653a",
    )  # fmt: skip
    return [words, fuzzy, solid]


def bound(low: int | None, high: int | None, begins: bool = True) -> str:
    """One bound in words. begins: of a start, else of an end."""
    early, late = low is None or low <= BEFORE_ALL, high is None or high >= AFTER_ALL - 1
    if (high is not None and high <= BEFORE_ALL) or (low is not None and low >= AFTER_ALL - 1):
        return "before what is known" if begins else "still holding"
    if early and late:
        return "not known"
    if early:
        return f"by {moment(high)}"
    if late:
        return f"not before {moment(low)}"
    return moment(low) if low == high else f"{moment(low)} .. {moment(high)}"
