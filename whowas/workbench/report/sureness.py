"""How sure a name is, in words, in line styles and in colours: never by colour alone."""

from __future__ import annotations

from typing import NamedTuple

from whowas.schema import CONFIDENCES
from whowas.workbench.api.common import Name
from whowas.workbench.report.markup import Html, tag


class Look(NamedTuple):
    """colour: of lines and bars. dash: of lines, None: solid. width: of lines. meaning: in words."""

    colour: str
    dash: str | None
    width: float
    meaning: str


LOOKS = {
    "exact": Look("#15653a", None, 2.4, "one holder, certainly holding at that moment; nobody else possible"),
    "likely": Look("#3b8f5f", None, 1.2, "one possible holder only, but its start or end is not known exactly"),
    "ambiguous": Look("#b35900", "5 3", 2, "several may have held it: all are candidates, nobody is named"),
    "node": Look("#245a8d", None, 1.2, "the address of a node; pods on its host network are candidates"),
    "service": Look("#0b7285", None, 1.2, "the address of a Service"),
    "snat": Look("#8a5a00", "8 3", 1.6, "a node's address; masqueraded pods may stand behind it"),
    "external": Look("#5a4a8a", None, 1.2, "outside of the cluster"),
    "none": Look("#8a2d60", "2 3", 1.6, "somebody was looking, and nobody held it"),
    "unknown": Look("#b00020", "1.5 3", 2, "nobody was looking then, or the record has no time"),
}
CERTAIN = ("exact",)


def look(confidence: str) -> Look:
    """How a confidence is drawn."""
    return LOOKS.get(confidence, LOOKS["unknown"])


def rank(confidence: str) -> int:
    """Its place among all, surest first."""
    return CONFIDENCES.index(confidence) if confidence in CONFIDENCES else len(CONFIDENCES)


def word(confidence: str) -> Html:
    """A confidence as it stands beside a name."""
    known = confidence if confidence in LOOKS else "unknown"
    return tag("span", confidence, class_=f"sure {known}")


def named(one: Name, clusters: bool = False) -> str:
    """A name without its confidence: write `end`, unless the word stands beside it."""
    what = "/".join(part for part in (one.namespace, one.name) if part)
    kind = one.kind or "no name"
    told = what if one.kind in ("pod", "namespace") and what else " ".join(part for part in (kind, what) if part)
    return f"{one.cluster}: {told}" if clusters and one.cluster else told


def end(one: Name, clusters: bool = False) -> Html:
    """A name with its confidence."""
    return Html(tag("span", named(one, clusters)) + " " + word(one.confidence))
