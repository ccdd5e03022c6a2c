"""What rules found, and what people wrote about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from whowas.workbench.api.common import About, Asked, TimeRange, Told, Us

State = Literal["open", "closed", "false_positive"]


class FindingsAsk(Asked):
    """Findings that overlap a range. levels, states: [] = all. text: in title, rule, uid or names."""

    range: TimeRange | None = None
    levels: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    text: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    offset: Annotated[int, Meta(ge=0)] = 0


class Note(Told):
    """One thing that somebody wrote: a state, a note, or both. author: as they called themselves, not proven."""

    revision: int
    time: Us
    author: str
    state: State
    text: str


class FindingRow(Told):
    """One finding in a list. score: confidence of 100. flows: that match; state, revision: by the newest note."""

    uid: str
    title: str
    rule: str
    level: str
    score: int
    first: Us
    last: Us
    flows: int
    message: str
    state: State
    revision: int


class Findings(Told):
    """Worst level first, then surest, then newest. levels, states: number by each, of all that match but for itself."""

    about: About
    levels: dict[str, int]
    states: dict[str, int]
    findings: list[FindingRow]
    total: int


class FindingAsk(Asked):
    """One finding."""

    uid: Annotated[str, Meta(min_length=1, max_length=200)]


class Finding(Told):
    """One finding whole. ocsf: as OCSF has it (times in ms). commands: to copy, never run. notes: oldest first."""

    row: FindingRow
    ocsf: dict[str, Any]
    flow_ids: list[str]
    attack: list[str]
    false_positives: list[str]
    commands: list[str]
    notes: list[Note]


class NoteAsk(Asked):
    """Write a state or a note. revision: of the newest note that was seen (0 = none), so that none is overwritten."""

    uid: Annotated[str, Meta(min_length=1, max_length=200)]
    revision: Annotated[int, Meta(ge=0)]
    state: State
    text: Annotated[str, Meta(max_length=10_000)] = ""
    author: Annotated[str, Meta(max_length=100)] = ""


class Noted(Told):
    """All that is written about a finding, oldest first."""

    uid: str
    revision: int
    state: State
    notes: list[Note]
