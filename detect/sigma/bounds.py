"""Bounds what a rule's condition becomes, by counting before anything is expanded.

A condition may name each selection many times, and a value may stand for many spellings: a small file would become a
tree that takes minutes to write and to plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sigma.conditions import ConditionItem, ConditionSelector
from sigma.rule import SigmaDetection, SigmaDetections
from sigma.types import SigmaExpansion

from detect.sigma.refusals import Refused
from detect.sigma.yaml_documents import Node

MOST_VALUES = 10_000
MOST_TESTS = 20_000
MOST_SELECTIONS = 1_000
# `1 of *a*b*` is tried on every name: each further star costs as much again as a name is long.
MOST_STARS = 2
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
# What |windash writes in five ways, as pySigma finds it; it takes three in one value at most.
_DASH = re.compile(r"\B[-/]\b")


def check_names(node: Node, names: list[str]) -> None:
    """Refuse names of selections that are none, and too many of them. Raises: Refused."""
    if len(names) > MOST_SELECTIONS:
        cause = f"a detection has {len(names):,} selections, more than {MOST_SELECTIONS:,}"
        raise Refused(cause, "split the rule", node.line)
    for name in names:
        if not _NAME.fullmatch(name):
            advice = "use at most 100 letters, digits, _ and -"
            raise Refused(f"'{name:.100}' is no name for a selection", advice, node.key_lines[name])


def spellings(modifiers: Iterable[str], values: Iterable[Any]) -> int:
    """Return how many values modifiers will make of these, or more."""
    found = 0
    for value in values:
        made = 3 if "base64offset" in modifiers else 1
        if "windash" in modifiers and isinstance(value, str):
            made *= 5 ** min(3, len(_DASH.findall(value)))
        found += made
    return found


def counted(tree: Any, found: SigmaDetections, line: int) -> set[str]:
    """Return the selections that a condition names, each counted as often as it will be written.

    Args: tree: the condition, parsed, nothing put in place of names. Raises: Refused beyond MOST_TESTS.
    """
    sizes = {name: _tests(one) for name, one in found.detections.items()}
    names: set[str] = set()
    made = 0
    for name in _named(tree, found, line):
        names.add(name)
        made += sizes.get(name, 0)
        if made > MOST_TESTS:
            cause = f"the condition asks for {made:,} tests or more, each selection counted wherever it is named"
            raise Refused(f"{cause}; the most is {MOST_TESTS:,}", "name each selection once, or split the rule", line)
    return names


def _tests(one: Any) -> int:
    if isinstance(one, SigmaDetection):
        return sum(_tests(item) for item in one.detection_items)
    return sum(len(value.values) if isinstance(value, SigmaExpansion) else 1 for value in one.value)


def _named(tree: Any, found: SigmaDetections, line: int) -> Iterator[str]:
    """Yield selections, as often as they are named."""
    if isinstance(tree, ConditionSelector):
        tree.pattern = re.sub(r"\*+", "*", tree.pattern)
        if tree.pattern.count("*") > MOST_STARS:
            raise Refused(f"'of {tree.pattern}' has more than {MOST_STARS} stars", "name fewer", line)
        yield from (one.identifier for one in tree.resolve_referenced_detections(found))
    elif isinstance(tree, ConditionItem):
        for one in tree.args:
            yield from [one] if isinstance(one, str) else _named(one, found, line)
