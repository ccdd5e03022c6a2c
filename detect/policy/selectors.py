"""Label selectors of Kubernetes. Source: apimachinery's LabelSelectorAsSelector, against which tests hold this."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from detect.policy.fields import Unreadable, as_list, as_map, as_text

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class Requirement(NamedTuple):
    """One line of a selector. values: of In and NotIn."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels meet it. A key that is absent meets NotIn and DoesNotExist alone."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        if self.operator == "In":
            return self.key in labels and labels[self.key] in self.values
        return self.key not in labels or labels[self.key] not in self.values


class Selector(NamedTuple):
    """All requirements must hold; without any it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether an object of these labels is selected."""
        return all(one.holds(labels) for one in self.requirements)

    def keys(self) -> frozenset[str]:
        """Return the labels that it asks about."""
        return frozenset(one.key for one in self.requirements)

    def __str__(self) -> str:
        return ", ".join(map(_spelled, self.requirements)) or "all"


EVERYTHING = Selector()


def _spelled(one: Requirement) -> str:
    values = sorted(one.values)
    if one.operator == "In" and len(values) == 1:
        return f"{one.key}={values[0]}"
    return f"{one.key} {one.operator} [{', '.join(values)}]" if values else f"{one.key} {one.operator}"


def read_selector(told: Any, where: str) -> Selector:
    """Read a LabelSelector; one that is null or absent is read as `{}`. Raises: Unreadable."""
    found = as_map(told, where)
    lines = [
        _equal(key, value, where) for key, value in as_map(found.get("matchLabels"), f"{where}.matchLabels").items()
    ]
    for place, one in enumerate(as_list(found.get("matchExpressions"), f"{where}.matchExpressions")):
        lines.append(_expression(one, f"{where}.matchExpressions[{place}]"))
    return _shared(Selector(tuple(sorted(lines, key=lambda line: (line.key, line.operator, sorted(line.values))))))


@lru_cache(maxsize=1 << 14)
def _shared(selector: Selector) -> Selector:
    return selector


def _equal(key: str, value: Any, where: str) -> Requirement:
    return Requirement(key, "In", frozenset((as_text(value, f"{where}.matchLabels.{key}"),)))


def _expression(told: Any, where: str) -> Requirement:
    one = as_map(told, where)
    key, operator = as_text(one.get("key"), f"{where}.key"), as_text(one.get("operator"), f"{where}.operator")
    values = frozenset(as_text(value, f"{where}.values") for value in as_list(one.get("values"), f"{where}.values"))
    if operator not in OPERATORS:
        raise Unreadable(f"{where}.operator is '{operator}', not one of {', '.join(OPERATORS)}")
    if bool(values) != (operator in ("In", "NotIn")):
        raise Unreadable(f"{where} has {'values' if values else 'no values'}, which {operator} does not take")
    return Requirement(key, operator, values)
