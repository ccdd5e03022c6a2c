"""What every question and answer is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Us = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62, description="microseconds since 1970, UTC")]
Measure = Literal["flows", "bytes", "packets"]
Text = Annotated[str, Meta(max_length=4096)]


class Asked(Struct, forbid_unknown_fields=True):
    """What every question is made of: a key that is not here is refused."""


class Told(Struct):
    """What every answer is made of."""


class TimeRange(Asked):
    """since <= time < until."""

    since: Us
    until: Us


class Question(Asked):
    """Which flows: a filter in the words of `whowas query` ("" = all), and a range (null = all times)."""

    filter: Text = ""
    range: TimeRange | None = None


class About(Told):
    """How an answer came about.

    source: rollups (fast), flows (slow, said to the user), history, findings. hours: that the range touches; ready: of
    these, in the answer. partial: why the answer is not whole ("" = it is): an hour that is not built yet, a limit.
    milliseconds: it took.
    """

    source: Literal["rollups", "flows", "history", "findings", "none"]
    hours: int = 0
    ready: int = 0
    partial: str = ""
    milliseconds: float = 0


class Name(Told):
    """Who a group of ends is. Empty text: none, or not told. A label's or node's group has its text in `name`.

    Two clusters may have one name: they stay apart, as ends of two confidences do.
    """

    cluster: str
    kind: str
    namespace: str
    name: str
    name_kind: str
    confidence: str


class Edge(Told):
    """Flows from one group of ends to another.

    src, dst: places in `names` of the answer. port: of dst, null where it has none or where ports are folded.
    first, last: start of the first and last flow.
    """

    src: int
    dst: int
    port: int | None
    protocol: str
    direction: str
    flows: int
    bytes: int
    packets: int
    first: Us | None
    last: Us | None


class Problem(Told):
    """Why there is no answer, in words for people. at: offset in the filter, where that is what is wrong."""

    error: str
    at: int | None = None


class ColumnInfo(Told):
    """One column of a flow. words: all it can hold, where that is a closed list. fast: roll-ups have it."""

    name: str
    type: str
    unit: str
    meaning: str
    words: list[str]
    fast: bool


class Status(Told):
    """What is served. since, until: starts of the first and last hour's bounds; null without flows.

    hours: hour folders; ready: of these with roll-ups. flows, bytes: in the ready hours. building: are they made now?
    unreadable: [file, why]. history, findings: are they served? evidence: is it there at once, or has all to be read
    again? notes: can states be written? paints: columns that edges of the map can be painted by.
    """

    version: str
    folder: str
    clusters: list[str]
    since: Us | None
    until: Us | None
    hours: int
    ready: int
    building: bool
    flows: int
    bytes: int
    unreadable: list[tuple[str, str]]
    history: bool
    evidence: bool
    findings: bool
    notes: bool
    confidences: list[str]
    paints: list[str]
    columns: list[ColumnInfo]
    page_limit: int
    export_limit: int


class Check(Asked):
    """A filter as it is typed."""

    filter: Text


class Checked(Told):
    """error: "" when it is right; at: where it is wrong. columns: it reads; fast: roll-ups can answer it.

    complete: words that may stand at the end of what was typed.
    """

    error: str
    at: int | None
    columns: list[str]
    fast: bool
    complete: list[str]


class Commands(Told):
    """The same filter and range elsewhere.

    sql: for `whowas query`; cli: the line of `whowas flows`; report: that of `whowas report`; sigma: a rule drafted.
    """

    sql: str
    cli: str
    report: str
    sigma: str
