"""Reads a rule's test cases: flows to find, and flows not to.

tests:
  flow: {src_kind: pod, protocol: tcp}          # what every flow below has unless it says otherwise
  match:
    - {dst_port: 22}                            # a case of one flow
    - {dst_port: 23, src_namespace: shop, src_workload: web, advice: shop/web}    # whom the advice is about
    - title: twenty ports in a minute           # a case of several; {n} counts from 1
      flows: [{times: 20, every: 3s, dst_port: '{n}'}]
  ignore: …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from typing import Any

import pyarrow as pa

from detect.conditions.fields import RANGED, advice, field
from detect.sigma.metadata import text, texts, words
from detect.sigma.refusals import Refused
from detect.sigma.timespans import duration_us
from detect.sigma.yaml_documents import Node
from whowas.addresses import sixteen
from whowas.schema import table_schema

_TIMES = ("start_time", "end_time", "received_time")
_ABOUT = ("title", "at", "times", "every", "advice")
MOST_TIMES = 10_000
MOST_FLOWS = 50_000


@dataclass(frozen=True)
class CaseFlow:
    """A flow of a case.

    at_us: its start, counted from the case's beginning. columns: what is not null, as Python values that fit
    whowas.schema.table_schema (labels as a list of pairs; src_ip16 and dst_ip16 made from the texts).
    """

    at_us: int
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One case. rule: the name of the rule. matches: whether it must find something among the flows, or nothing.

    advice: whom the finding's advice must be about, each as `End.label` names an end; None: the case does not say.
    """

    rule: str
    title: str
    matches: bool
    flows: tuple[CaseFlow, ...]
    path: str
    line: int
    advice: frozenset[str] | None = None


def cases_of(node: Node | None, rule: str, path: str, most: int = MOST_FLOWS) -> tuple[Case, ...]:
    """Return the cases under `whowas: tests:`. Args: most: how many flows they may have. Raises: Refused."""
    if node is None:
        return ()
    told = words(node, ("flow", "match", "ignore"), "tests")
    base = told.get("flow", Node({}, node.line))
    if not base.is_map():
        raise Refused("the tests' flow is no mapping", "write the columns that all flows have", base.line)
    made = (
        _case(one, base, rule, key == "match", f"{key} {number}", path)
        for key, each in told.items()
        if key != "flow"
        for number, one in enumerate(each.items(), 1)
    )
    found: list[Case] = []
    flows = 0
    for case in made:
        found.append(case)
        flows += len(case.flows)
        if flows > most:
            cause = f"the tests have more than {MOST_FLOWS:,} flows, all of the file counted"
            raise Refused(cause, "make them smaller", node.line)
    return tuple(found)


def _case(node: Node, base: Node, rule: str, matches: bool, name: str, path: str) -> Case:
    if not node.is_map():
        raise Refused("a test case is no mapping", "write a flow's columns, or title: and flows:", node.line)
    title = text(node.value, "title", 256) or name
    several = [node]
    if "flows" in node.value:
        words(node, ("title", "flows", "advice"), "a test case with flows")
        several = node.value["flows"].items()
    flows = tuple(islice((flow for one in several for flow in _flows(one, base)), MOST_FLOWS + 1))
    return Case(rule, title, matches, flows, path, node.line, _advice(node, [base, *several], matches))


def _advice(node: Node, parts: list[Node], matches: bool) -> frozenset[str] | None:
    """Read whom a case's advice must be about: a word of the case, not of one of its flows."""
    for one in parts:
        if one is not node and one.is_map() and "advice" in one.value:
            raise Refused("advice is said of a flow", "say it of the case, beside title:", one.key_lines["advice"])
    if "advice" not in node.value:
        return None
    if not matches:
        raise Refused("advice is expected of flows to ignore", "say it under match", node.key_lines["advice"])
    return frozenset(texts(node.value, "advice"))


def _flows(node: Node, base: Node) -> Iterator[CaseFlow]:
    """Yield as many flows as `times` says, `every` apart."""
    if not node.is_map():
        raise Refused("a flow of a test case is no mapping", "write its columns", node.line)
    times = node.value["times"].value if "times" in node.value else 1
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= MOST_TIMES:
        raise Refused(f"'{node.value['times'].text}' is no number of flows", f"say 1 to {MOST_TIMES:,}", node.line)
    at, every = (duration_us(node.value[word], 0) if word in node.value else 0 for word in ("at", "every"))
    whole = Node(base.value | node.value, node.line, key_lines=base.key_lines | node.key_lines)
    alike = None if any("{n}" in one.text for one in whole.value.values()) else _columns(whole, 1)
    for number in range(1, times + 1):
        yield CaseFlow(at + (number - 1) * every, alike or _columns(whole, number))


def _columns(node: Node, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in node.value.items():
        if name not in _ABOUT:
            _put(found, name, _counted(one, number), node.key_lines[name])
    for name, twin in RANGED.items():
        if name in found:
            found[twin] = _sixteen(found[name], node.key_lines[name])
    return found


def _counted(node: Node, number: int) -> Node:
    """Put the number of the flow in place of {n}; a text of digits alone is a number then."""
    if not isinstance(node.value, str) or "{n}" not in node.value:
        return node
    told = node.value.replace("{n}", str(number))
    return Node(int(told) if told.isdecimal() and len(told) < 20 else told, node.line, told)


def _put(found: dict[str, Any], name: str, node: Node, line: int) -> None:
    if name in _TIMES or name in RANGED.values():
        raise Refused(f"{name} is made for you", "use at: 12.5s for times, src_ip and dst_ip for addresses", line)
    one = field(name)
    if one is not None and one.key is not None:
        found.setdefault(one.column, []).append((one.key, node.text))
    elif name in table_schema().names:
        found[name] = _fitting(name, node, line)
    else:
        raise Refused(f"'{name}' is no column of a flow", advice(name), line)


def _fitting(name: str, node: Node, line: int) -> Any:
    kind = table_schema().field(name).type
    value = node.plain()
    if pa.types.is_map(kind) and node.is_map():
        value = [(key, one.text) for key, one in node.value.items()]
    elif pa.types.is_dictionary(kind):
        kind, value = kind.value_type, None if node.value is None else node.text
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise Refused(f"{name} cannot be {value!r:.80}", f"it is of type {kind}", line) from error
    return value


def _sixteen(text: str | None, line: int) -> bytes | None:
    if text is None:
        return None
    try:
        return sixteen(ip_address(text))
    except ValueError:
        raise Refused(f"'{text}' is no address", "write one of IPv4 or IPv6", line) from None
