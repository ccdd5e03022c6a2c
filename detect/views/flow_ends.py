"""Describes the two ends of a flow for a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from detect.model import Finding
from whowas.schema import COLUMNS

SURE = ("exact", "likely")
# How far a name of this confidence can be relied on, of 100; an analyst's own scale may differ, the words do not.
SCORES = {
    "exact": 99, "likely": 80, "node": 90, "service": 90, "external": 90, "snat": 40, "ambiguous": 30, "none": 20,
    "unknown": 10,
}  # fmt: skip


class End(NamedTuple):
    """One end of a flow: the columns of one side, without `src_` or `dst_`; None is what is not known."""

    side: str
    columns: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        """Return a column's value; a map or list is never None."""
        value = self.columns.get(name)
        return value if value is not None else _EMPTY.get(name)

    @property
    def is_pod(self) -> bool:
        """Say whether a pod held the address, and nobody else could have."""
        return self.kind == "pod" and self.confidence in SURE and bool(self.pod)

    @property
    def label(self) -> str:
        """The shortest name that says who it was: namespace/pod, else what is known."""
        if self.pod:
            return f"{self.namespace}/{self.pod}" if self.namespace else str(self.pod)
        if self.workload or self.service:
            name = self.workload or self.service
            return f"{self.namespace}/{name}" if self.namespace else str(name)
        return str(self.node or self.ip or "?")


_EMPTY: dict[str, Any] = {"labels": {}, "images": [], "candidates": []}


@cache
def _columns(side: str) -> tuple[tuple[str, str], ...]:
    """(name without its side, column) of each column of one side."""
    return tuple((one.name[4:], one.name) for one in COLUMNS if one.name.startswith(f"{side}_"))


def end(flow: Mapping[str, Any], side: str) -> End:
    """Return one side ("src", "dst") of a row."""
    return End(side, {name: flow.get(column) for name, column in _columns(side)})


def both(flow: Mapping[str, Any]) -> tuple[End, End]:
    """Return source and destination of a row."""
    return end(flow, "src"), end(flow, "dst")


def suspects(finding: Finding) -> list[End]:
    """The ends that the rule is about, each address and holder once, in the order of the evidence; both if neither."""
    return list(_distinct(one for flow in finding.flows for one in _about(finding, flow)))


def aimed(finding: Finding) -> list[End]:
    """The ends that something may be done about: the suspects, or nobody where the rule is about neither end."""
    return [] if finding.rule.about == "neither" else suspects(finding)


def score(finding: Finding) -> int:
    """How far the names in the evidence can be relied on, of 100: the score of the least sure suspect end."""
    return min((SCORES.get(one.confidence, SCORES["unknown"]) for one in suspects(finding)), default=SCORES["unknown"])


def _about(finding: Finding, flow: Mapping[str, Any]) -> list[End]:
    rule = finding.rule
    if rule.about_columns:
        held = dict(finding.group).get(rule.about)
        return [end(flow, name[:3]) for name in rule.about_columns if held and str(flow.get(name)) == held]
    return [one for one in both(flow) if rule.about in (one.side, "both", "neither")]


def _distinct(ends: Iterator[End]) -> Iterator[End]:
    seen: set[Sequence[Any]] = set()
    for one in ends:
        key = (one.ip, one.pod_uid, one.namespace, one.pod, one.confidence)
        if key not in seen:
            seen.add(key)
            yield one
