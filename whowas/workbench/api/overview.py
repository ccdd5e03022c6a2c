"""What is unusual in a range: traffic over time, how sure the ends are, who talks most, what is new."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from whowas.workbench.api.common import About, Edge, Measure, Name, Question, TimeRange, Told, Us


class HistogramAsk(Question):
    """bucket: us; null chooses one (1 min to 2 h, 10 min to 2 days, 1 h to 30 days, else 1 day).

    Roll-ups know 10 min and more: below that flows are read.
    """

    bucket: Annotated[int, Meta(ge=1_000_000)] | None = None


class Histogram(Told):
    """Flows over time. Row i: bucket that starts at time[i], of flows whose weaker end has confidence[i].

    The weaker end is the one whose word stands later in Status.confidences. Buckets without flows have no row.
    untimed: flows without a start; they are in no range and in no bucket.
    """

    about: About
    bucket: int
    time: list[Us]
    confidence: list[str]
    flows: list[int]
    bytes: list[int]
    untimed: int


class Ends(Told):
    """How sure the ends are. Each flow counts twice, once as src and once as dst."""

    about: About
    side: list[Literal["src", "dst"]]
    confidence: list[str]
    flows: list[int]
    bytes: list[int]


class TopAsk(Question):
    """The heaviest edges by a measure."""

    by: Measure = "flows"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20


class Talkers(Told):
    """edges: heaviest first. left_out: edges that are not shown, rest: their measure."""

    about: About
    names: list[Name]
    edges: list[Edge]
    left_out: int
    rest: int


class ChangesAsk(TopAsk):
    """Edges of the range that were not in `baseline` (null = as long a range just before)."""

    baseline: TimeRange | None = None


class Changes(Told):
    """Edges that are new, and edges of the baseline that are gone, heaviest first; left_out of each.

    Same edge: same names with the same confidences, port and protocol. baseline_ready: hours of the baseline in the
    answer, of baseline_hours: with none, everything would seem new, so nothing is said then.
    """

    about: About
    baseline: TimeRange
    baseline_hours: int
    baseline_ready: int
    names: list[Name]
    new: list[Edge]
    gone: list[Edge]
    new_left_out: int
    gone_left_out: int


class OverviewAsk(TopAsk):
    """All panes of the overview in one question. bucket: as of HistogramAsk. by, limit: of edges."""

    bucket: Annotated[int, Meta(ge=1_000_000)] | None = None


class Overview(Told):
    """What each pane shows; as if each had been asked for by itself."""

    histogram: Histogram
    ends: Ends
    talkers: Talkers
    changes: Changes
