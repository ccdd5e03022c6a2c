"""The `detection` of a rule, or the `filter` of a filter, as a condition on flows.

pySigma parses values, applies modifiers and reads the condition; fields, placeholders and what becomes SQL are ours.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pyparsing import ParseException
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaExists, SigmaExpansion, SigmaRegularExpression, SigmaType

from detect.conditions.fields import NUMBER, NUMBERS, TIME, Field, advice, field
from detect.conditions.sql_literals import text_literal
from detect.conditions.tree import NEVER, Condition, all_of, not_, some_of
from detect.model import Site
from detect.sigma import bounds, modifiers
from detect.sigma.bounds import MOST_VALUES
from detect.sigma.field_mappings import Renamed
from detect.sigma.refusals import Refused
from detect.sigma.sql import equals_one_of, pattern, plain, test
from detect.sigma.sql_check import Runner
from detect.sigma.yaml_documents import Node

MOST_CONDITION = 4096
MOST_BRACKETS = 20
_NOT = re.compile(r"\bnot\b")
_PLACEHOLDER = re.compile(r"%([A-Za-z0-9_.-]+)%")


class _Nothing(SigmaType):
    """The value of an empty list: nothing equals it."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True)
class ReadContext:
    """What a detection is read with. engine: tries regular expressions. rename: for rules of other taxonomies.

    asked: names of the site's lists that placeholders asked for, filled while reading.
    """

    site: Site
    engine: Runner
    rename: Mapping[str, Renamed] | None = None
    asked: set[str] = dataclasses.field(default_factory=set)


def condition_of(node: Node, reading: ReadContext, beside: Iterable[str] = ()) -> Condition:
    """Return what a detection asks. Args: beside: keys that are no selections. Raises: Refused, with its line."""
    if not node.is_map():
        raise Refused("a detection is no mapping of selections", "name each selection", node.line)
    if "condition" not in node.value:
        raise Refused("a detection has no condition", "add one, as in condition: selection", node.line)
    if "timeframe" in node.value:
        raise Refused("timeframe is not Sigma any more", "write a correlation", node.key_lines["timeframe"])
    bounds.check_names(node, [name for name in node.value if name != "condition" and name not in beside])
    selections = {
        name: _selection(name, one, reading)
        for name, one in node.value.items()
        if name != "condition" and name not in beside
    }
    if not selections:
        raise Refused("a detection has no selection", "add one", node.line)
    return _parsed(node.value["condition"], selections, node.key_lines)


def there(name: str) -> Condition:
    """Return the condition that a field is there."""
    return test(_field(name), SigmaExists(True))


def _parsed(node: Node, selections: dict[str, SigmaDetection], lines: Mapping[str, int]) -> Condition:
    text = node.value
    if not isinstance(text, str):
        raise Refused("a condition is no text", "write it as one line", node.line)
    if len(text) > MOST_CONDITION or text.count("(") > MOST_BRACKETS or len(_NOT.findall(text)) > MOST_BRACKETS:
        raise Refused("a condition is too long", "split the rule", node.line)
    try:
        found = SigmaDetections(selections, [text])
        unused = set(selections) - bounds.counted(found.parsed_condition[0].parse(False), found, node.line)
        tree = found.parsed_condition[0].parsed
    except (SigmaError, ParseException, RecursionError, ValueError) as error:
        raise _refused(error, node.line) from error
    if unused:
        name = sorted(unused)[0]
        raise Refused(f"the selection '{name}' is not in the condition", "use it or leave it out", lines[name])
    return _condition(tree)


def _refused(error: Exception, line: int) -> Refused:
    """Say in our words what pySigma says."""
    if isinstance(error, RecursionError):
        return Refused("a condition is nested too deep", "split the rule", line)
    if isinstance(error.__context__, ParseException):
        rest = error.__context__.line[error.__context__.loc :].strip() or "its end"
        return Refused(f"the condition cannot be read from '{rest}' on", "use and, or, not, 1 of x*, all of x*", line)
    cause = " ".join(str(error.args[0] if isinstance(error, SigmaError) and error.args else error).split())
    if found := re.fullmatch(r"Modifier \w+ incompatible to value type of '(.*)'", cause):
        return Refused(f"'{found[1]}' is no value for these modifiers", "give a number or text, as they ask", line)
    return Refused(cause.removeprefix("Sigma ").rstrip("."), "correct it", line)


def _selection(name: str, node: Node, reading: ReadContext) -> SigmaDetection:
    if not node.is_list():
        return _mapping(node, reading)
    if not node.value:
        raise Refused(f"the selection '{name}' is empty", "ask for something or leave it out", node.line)
    return SigmaDetection([_mapping(one, reading) for one in node.value])


def _mapping(node: Node, reading: ReadContext) -> SigmaDetection:
    if not node.is_map():
        raise Refused("a word without a field is asked for", "flows have no text to search: name a field", node.line)
    if not node.value:
        raise Refused("a selection is empty", "ask for something or leave it out", node.line)
    return SigmaDetection([_item(key, node.key_lines[key], one, reading) for key, one in node.value.items()])


def _item(key: str, line: int, node: Node, reading: ReadContext) -> SigmaDetectionItem:
    try:
        if reading.rename is not None:
            key, node = _renamed(key, node, reading.rename)
        name, *named = key.split("|")
        one = _field(name)
        modifiers.check(named)
        values = _values(one, named, node, reading)
        if "re" in named:
            # Before pySigma compiles it: its engine writes what it does not take to standard error, as it stands.
            for value in values:
                reading.engine.expression(text_literal(value))
        kept = [word for word in named if word != "expand"]
        item = _built("|".join([one.name, *kept]), values, "all" in named)
        _tried(one, item, reading.engine)
        return item
    except Refused as refused:
        raise Refused(refused.cause, refused.advice, refused.line or line) from refused
    except (SigmaError, ValueError) as error:
        raise _refused(error, line) from error


def _built(key: str, values: list[Any], every: bool) -> SigmaDetectionItem:
    if values:
        return SigmaDetectionItem.from_mapping(key, values)
    if every:
        raise Refused("all of an empty list is asked for", "fill the list, or leave out |all")
    item = SigmaDetectionItem.from_mapping(key.split("|")[0], "")
    item.value, item.negated = [_Nothing()], "neq" in key.split("|")
    return item


def _tried(one: Field, item: SigmaDetectionItem, engine: Runner) -> None:
    """Find out here, where the line is known, what cannot be honoured."""
    for value in item.value:
        for each in value.values if isinstance(value, SigmaExpansion) else [value]:
            if isinstance(each, SigmaRegularExpression):
                engine.expression(pattern(each))
            _tested(one, each)


def _field(name: str) -> Field:
    if not name:
        raise Refused("a word without a field is asked for", "flows have no text to search: name a field")
    found = field(name)
    if found is None:
        raise Refused(f"'{name}' is no field of a flow", advice(name))
    return found


def _renamed(key: str, node: Node, names: Mapping[str, Renamed]) -> tuple[str, Node]:
    """Return a field of another taxonomy, with its values, in ours."""
    name, *named = key.split("|")
    meant = names.get(name)
    if name and meant is None:
        raise Refused(f"the field '{name}' says nothing that a flow knows", "write the rule for taxonomy whowas")
    if meant is None or not meant.values:
        return "|".join([meant.name if meant else "", *named]), node
    told = [meant.values.get(one.text.lower()) for one in node.items() if not one.is_map() and not one.is_list()]
    if named or None in told:
        raise Refused(f"the field '{name}' says less of a flow", f"only {', '.join(meant.values)} can be asked for")
    return meant.name, Node([Node(one, node.line, one) for each in told for one in each or ()], node.line)


def _values(one: Field, named: list[str], node: Node, reading: ReadContext) -> list[Any]:
    """Return plain values, placeholders filled in. Raises: Refused."""
    if node.is_map() or any(each.is_map() or each.is_list() for each in node.items()):
        raise Refused("a value is a mapping or a list of lists", "write plain values", node.line)
    if not node.items():
        raise Refused("a list of values is empty", "ask for something or leave it out", node.line)
    found: list[Any] = []
    made = 0
    for each in node.items():
        _unambiguous(one, named, each)
        told = _expanded(each, reading) if "expand" in named else [each.text if "re" in named else each.value]
        made += bounds.spellings(named, told)
        if made > MOST_VALUES:
            raise Refused(f"there are more than {MOST_VALUES:,} values", "split the rule", each.line)
        found += told
    return found


def _unambiguous(one: Field, named: list[str], node: Node) -> None:
    """Refuse a number for text whose spelling YAML has lost, and what is no text where one is asked for."""
    number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    if number and one.kind not in (NUMBER, NUMBERS, TIME) and str(node.value) != node.text:
        raise Refused(f"the number {node.text} may be spelt in other ways", f"write '{node.text}' in quotes", node.line)
    if isinstance(node.value, int) and int(float(node.value)) != node.value:
        raise Refused(f"the number {node.text} is too large to be kept exactly", "give a rounder one", node.line)
    if node.value is None and named:
        raise Refused("null takes no modifiers", f"write {one.name}: null, or {one.name}|exists", node.line)
    if "re" in named and not isinstance(node.value, str):
        raise Refused("an expression is no text", f"write '{node.text}' in quotes", node.line)


def _expanded(node: Node, reading: ReadContext) -> list[str]:
    if not isinstance(node.value, str):
        raise Refused("a placeholder is no text", "write '%name%'", node.line)
    parts = _PLACEHOLDER.split(node.value)
    if len(parts) == 1:
        raise Refused(f"'{node.value}' names no list", "write '%name%', or leave out |expand", node.line)
    lists = [(one,) if place % 2 == 0 else _listed(one, reading, node) for place, one in enumerate(parts)]
    made = 1
    for one in lists:
        made *= len(one)
    if made > MOST_VALUES:
        raise Refused(f"the placeholders stand for more than {MOST_VALUES:,} values", "shorten the lists", node.line)
    return ["".join(one) for one in product(*lists)]


def _listed(name: str, reading: ReadContext, node: Node) -> tuple[str, ...]:
    site = reading.site
    reading.asked.add(name)
    if name not in site.lists:
        where = f" of {site.path}" if site.path else ""
        raise Refused(f"the site has no list '{name}'", f"add it to the lists{where}; it may be empty", node.line)
    return tuple(site.lists[name])


def _condition(tree: Any) -> Condition:
    if isinstance(tree, ConditionAND):
        return all_of(_condition(one) for one in tree.args)
    if isinstance(tree, ConditionOR):
        return _some(tree.args)
    if isinstance(tree, ConditionNOT):
        return not_(_condition(tree.args[0]))
    if isinstance(tree, ConditionFieldEqualsValueExpression):
        return _tested(_known(tree), tree.value)
    raise Refused("a word without a field is asked for", "flows have no text to search: name a field")


def _some(parts: Iterable[Any]) -> Condition:
    """Return what holds if one part does; plain words that one field is held against become one test."""
    words: dict[Field, dict[str, None]] = {}
    others: list[Condition] = []
    for one in parts:
        bound = isinstance(one, ConditionFieldEqualsValueExpression)
        literal = plain(_known(one), one.value) if bound else None
        if literal is None:
            others.append(_condition(one))
        else:
            words.setdefault(_known(one), {})[literal] = None
    return some_of([equals_one_of(one, list(literals)) for one, literals in words.items()] + others)


def _known(tree: ConditionFieldEqualsValueExpression) -> Field:
    one = field(tree.field)
    assert one is not None  # _field has seen to it
    return one


def _tested(one: Field, value: SigmaType) -> Condition:
    if isinstance(value, _Nothing):
        return NEVER
    if isinstance(value, SigmaExpansion):
        return some_of(test(one, each) for each in value.values)
    return test(one, value)
