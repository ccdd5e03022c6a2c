"""The flows themselves: pages, facets, one whole, a file of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from whowas.workbench.api.common import About, Asked, Measure, Question, Told, Us


class FlowsAsk(Question):
    """A page of flows, newest first (or oldest first). columns: of Status.columns ([] = the usual ones).

    cursor: of the page before. limit: rows.
    """

    columns: Annotated[list[str], Meta(max_length=80)] = field(default_factory=list)
    cursor: Annotated[str, Meta(max_length=200)] = ""
    oldest_first: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Flows(Told):
    """values[c][r]: column c of row r; times are us, addresses text, nested values JSON. hour: of each row, for /flow.

    cursor: of the next page, "" when there is none. searched_until: flows beyond it were not looked at, since the time
    for a page was over: ask again with the cursor.
    """

    about: About
    columns: list[str]
    values: list[list[Any]]
    flow_id: list[str]
    hour: list[str]
    cursor: str
    searched_until: Us | None


class FacetsAsk(Question):
    """How often each value of some columns comes, most frequent first."""

    columns: Annotated[list[str], Meta(min_length=1, max_length=20)] = field(default_factory=list)
    by: Measure = "flows"
    limit: Annotated[int, Meta(ge=1, le=200)] = 10


class Facet(Told):
    """Values of one column; null stands for none. A name comes once for each confidence it has (names alone)."""

    column: str
    values: list[Any]
    confidence: list[str | None]
    flows: list[int]
    bytes: list[int]
    more: int
    skipped: str = ""


class Facets(Told):
    """One facet a column. skipped: why it is not there (the time limit); more: values that are not shown."""

    about: About
    facets: list[Facet]


class FlowAsk(Asked):
    """One flow, by the hour and the id that a page told."""

    hour: Annotated[str, Meta(max_length=64)]
    flow_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class Flow(Told):
    """The whole row: times as RFC 3339, bytes as hex, labels as an object. commands: that reproduce it.

    walk: commands that walk through the policies which decided; none where nothing was judged.
    """

    row: dict[str, Any]
    commands: list[str]
    walk: list[str]


class ExportAsk(FlowsAsk):
    """The flows of a filter as a file. limit: rows; About.partial stands in the header X-Whowas-Partial."""

    format: Literal["csv", "jsonl", "parquet"] = "csv"
    limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000


class ReportAsk(Question):
    """One self-contained file about the flows of a filter, or about a finding, as `whowas report` writes it."""

    finding: Annotated[str, Meta(max_length=200)] = ""
