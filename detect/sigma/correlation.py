"""The `correlation` of a rule: which rules it looks at, in what time, grouped by what."""

from __future__ import annotations

from dataclasses import dataclass

from detect.conditions.fields import advice, field
from detect.sigma.metadata import columns, text, texts, words
from detect.sigma.refusals import Refused
from detect.sigma.timespans import duration_us
from detect.sigma.yaml_documents import Node

TYPES = ("event_count", "value_count", "temporal", "temporal_ordered")
OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
_KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
_LATER = ("value_sum", "value_avg", "value_percentile", "value_median")


@dataclass(frozen=True)
class Told:
    """A correlation as its file tells it; rules and aliases may name rules by id. lines: of rules and aliases."""

    type: str
    rules: tuple[str, ...]
    timespan_us: int
    group_by: tuple[str, ...]
    aliases: dict[str, dict[str, str]]
    operator: str
    count: int
    fields: tuple[str, ...]
    generate: bool
    line: int


def told_of(node: Node) -> Told:
    """Read a correlation. Raises: Refused."""
    nodes = words(node, _KEYS, "correlation")
    for key in ("type", "rules", "timespan"):
        if key not in nodes:
            raise Refused(f"a correlation has no {key}", "add it", node.line)
    kind = _type(nodes["type"])
    rules = texts(nodes, "rules")
    if not rules or len(set(rules)) < len(rules):
        raise Refused("a correlation names no rule, or one twice", "name each once", nodes["rules"].line)
    aliases = _aliases(nodes.get("aliases"), rules)
    operator, count, counted = _condition(kind, nodes.get("condition"), len(rules), node.line)
    return Told(
        kind,
        rules,
        duration_us(nodes["timespan"], 1_000_000),
        columns(nodes, "group-by", aliases),
        aliases,
        operator,
        count,
        counted,
        _generate(nodes),
        node.line,
    )


def _type(node: Node) -> str:
    if node.value in TYPES:
        return str(node.value)
    known = "is not counted here" if node.value in _LATER else "is not known"
    raise Refused(f"the correlation type '{node.text}' {known}", f"use one of {', '.join(TYPES)}", node.line)


def _generate(nodes: dict[str, Node]) -> bool:
    if "generate" not in nodes:
        return False
    if not isinstance(nodes["generate"].value, bool):
        raise Refused("generate is neither true nor false", "write true or false", nodes["generate"].line)
    return nodes["generate"].value


def _aliases(node: Node | None, rules: tuple[str, ...]) -> dict[str, dict[str, str]]:
    if node is None:
        return {}
    if not node.is_map():
        raise Refused("aliases is no mapping", "write alias: {rule: field}", node.line)
    return {alias: _alias(alias, one, rules) for alias, one in node.value.items()}


def _alias(alias: str, node: Node, rules: tuple[str, ...]) -> dict[str, str]:
    if field(alias) is not None:
        raise Refused(f"the alias '{alias}' is a field's name", "choose another", node.line)
    told = words(node, rules, f"alias {alias}")
    for rule in rules:
        if rule not in told:
            raise Refused(f"the alias '{alias}' says nothing of rule '{rule}'", "add it", node.line)
        if field(text(told, rule)) is None:
            raise Refused(f"'{told[rule].text}' is no field of a flow", advice(told[rule].text), told[rule].line)
        columns(told, rule)
    return {rule: told[rule].text for rule in rules}


def _condition(kind: str, node: Node | None, rules: int, line: int) -> tuple[str, int, tuple[str, ...]]:
    """Return operator, number and the fields whose values are counted."""
    temporal = kind in ("temporal", "temporal_ordered")
    if node is None:
        if temporal:
            return "gte", rules, ()
        raise Refused("a correlation has no condition", "add one, as in condition: {gte: 10}", line)
    if isinstance(node.value, str):
        raise Refused("a condition in words is not honoured", "write one temporal correlation for each", node.line)
    nodes = words(node, OPERATORS + (("field",) if kind == "value_count" else ()), "a correlation's condition")
    operators = [one for one in nodes if one in OPERATORS]
    if len(operators) != 1:
        raise Refused(
            "a correlation's condition has not one comparison", f"use one of {', '.join(OPERATORS)}", node.line
        )
    operator, number = operators[0], nodes[operators[0]]
    _countable(operator, number)
    if temporal and (operator, number.value) not in (("gte", rules), ("eq", rules)):
        raise Refused("a temporal correlation asks for some of its rules only", "leave the condition out", node.line)
    if kind == "value_count" and not columns(nodes, "field"):
        raise Refused("a value_count does not say of what", "add field: dst_port", node.line)
    return ("gte" if temporal else operator), number.value, columns(nodes, "field") if kind == "value_count" else ()


def _countable(operator: str, node: Node) -> None:
    count = node.value
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31:
        raise Refused(f"'{node.text}' is no count", "give a whole number", node.line)
    if (operator, count) in (("lt", 0), ("lt", 1), ("lte", 0), ("eq", 0)):
        raise Refused("a group is looked at when it has an event", "ask for one at least", node.line)
