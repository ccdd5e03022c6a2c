"""Defines rules, findings and what is between them.

Nothing here knows Sigma, DuckDB, Kafka or OCSF.

A rule file becomes a `RuleSet`; a matcher says which rows of a batch each `FlowRule` matches; a judge counts, groups
and correlates what matched and keeps `Finding`s; views make OCSF, ECS or text of a finding; sinks take `Alert`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detect.conditions.tree import Condition

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Sigma's levels, the least first."""

HOUR_US = 3_600_000_000
ABOUT = ("src", "dst", "both", "neither")
"""The ends that advice on a finding can be about. Where a rule says nothing src, which opened the conversation."""
EVIDENCE_FLOWS = 10
"""How many flows a finding carries: the earliest by (start_time, flow_id), so that every run keeps the same."""


@dataclass(frozen=True)
class RuleInfo:
    """What is known of a rule beside its condition, as its file says it.

    id: the UUID. name: what correlations call it, else the file's stem. attacks: technique ids, "T1046". group_by:
    columns whose values make one finding of many flows. window_us: a finding holds what began within one such stretch
    of event time, counted from the epoch. topic: where its alerts go instead of the usual place. about: the end that
    advice is about, one of ABOUT, or an alias of the correlation: then about_columns are the columns behind it, and the
    end is meant whose column has the group's value. path, line: its file.
    """

    id: str
    name: str
    title: str
    level: str
    description: str = ""
    status: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    window_us: int = HOUR_US
    topic: str | None = None
    about: str = "src"
    about_columns: tuple[str, ...] = ()
    path: str = ""
    line: int = 0


@dataclass(frozen=True)
class FirstSeen:
    """Only what a combination of columns was not seen to do within a time before matches.

    by: columns (or `src_labels.app`). within_us: how long before is looked. learn_us: nothing is said until the state
    has seen flows for so long.
    """

    by: tuple[str, ...]
    within_us: int
    learn_us: int


@dataclass(frozen=True)
class FlowRule:
    """A rule on single flows. sql: a condition on columns that is true or false, never null. columns: what it reads.

    silent: it is only there for a correlation and makes no findings of its own. condition: what sql was written from;
    it lets a matcher look at the values of one column at a time. None: sql is all that is known.
    """

    info: RuleInfo
    sql: str
    columns: frozenset[str]
    first_seen: FirstSeen | None = None
    silent: bool = False
    condition: Condition | None = None


@dataclass(frozen=True)
class Correlation:
    """A rule on several flows.

    type: event_count, value_count, temporal, temporal_ordered. rules: names of the flow rules it looks at, in order.
    group_by: columns or aliases; aliases: alias -> rule name -> column. operator: lt, lte, gt, gte, eq, neq. count:
    the number compared with. fields: columns whose distinct values are counted (value_count).
    """

    info: RuleInfo
    type: str
    rules: tuple[str, ...]
    timespan_us: int
    group_by: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    operator: str = "gte"
    count: int = 1
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class RuleSet:
    """All that is judged by. Names are unique, ids too."""

    rules: tuple[FlowRule, ...] = ()
    correlations: tuple[Correlation, ...] = ()

    def infos(self) -> list[RuleInfo]:
        """Return what is known of each rule and correlation."""
        return [*(rule.info for rule in self.rules), *(correlation.info for correlation in self.correlations)]


@dataclass(frozen=True)
class Finding:
    """One (rule, group, window) and what is known of it by now. The same uid comes again, with a higher revision.

    uid: made of rule id, group and window alone: live and backtest give the same. group: (column, value as text or
    None), in the order of group_by. first_us, last_us: start times of the first and last flow counted. count: flows.
    values: distinct values counted (value_count). flows: the evidence, rows of whowas.schema.table_schema as Python
    values (`to_pylist`, maps as dicts).
    """

    uid: str
    rule: RuleInfo
    group: tuple[tuple[str, str | None], ...]
    window_start_us: int
    first_us: int
    last_us: int
    count: int
    revision: int = 0
    values: int | None = None
    flows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Site:
    """What a place says of itself, so that rules need not: lists that Sigma placeholders (%name%) stand for."""

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: str = ""
    # Lists of the user's file that are not among those delivered: some rule must ask for them.
    own: frozenset[str] = frozenset()
