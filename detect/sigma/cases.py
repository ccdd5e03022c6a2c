"""A rule's own test cases: flows that it must find, and flows that it must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pyarrow as pa

from detect.fields import RANGED, advice, field
from detect.sigma.documents import Node
from detect.sigma.durations import duration_us
from detect.sigma.header import text, words
from detect.sigma.refusing import Refused
from whowas.schema import table_schema

_TIMES = ("start_time", "end_time", "received_time")


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
    """One case. rule: the name of the rule. matches: whether it must find something among the flows, or nothing."""

    rule: str
    title: str
    matches: bool
    flows: tuple[CaseFlow, ...]
    path: str
    line: int


def cases_of(node: Node | None, rule: str, path: str) -> tuple[Case, ...]:
    """Return the cases under `whowas: tests:`. Raises: Refused."""
    if node is None:
        return ()
    told = words(node, ("match", "ignore"), "tests")
    return tuple(
        _case(one, rule, key == "match", f"{key} {number}", path)
        for key, each in told.items()
        for number, one in enumerate(each.items(), 1)
    )


def _case(node: Node, rule: str, matches: bool, name: str, path: str) -> Case:
    if not node.is_map():
        raise Refused("a test case is no mapping", "write a flow's columns, or title: and flows:", node.line)
    title = text(node.value, "title", 256) or name
    if "flows" in node.value:
        words(node, ("title", "flows"), "a test case with flows")
        flows = tuple(_flow(one) for one in node.value["flows"].items())
    else:
        flows = (_flow(node),)
    return Case(rule, title, matches, flows, path, node.line)


def _flow(node: Node) -> CaseFlow:
    if not node.is_map():
        raise Refused("a flow of a test case is no mapping", "write its columns", node.line)
    found: dict[str, Any] = {}
    for name, one in node.value.items():
        if name not in ("title", "at"):
            _put(found, name, one, node.key_lines[name])
    for name, twin in RANGED.items():
        if name in found:
            found[twin] = _sixteen(found[name], node.key_lines[name])
    return CaseFlow(duration_us(node.value["at"], 0) if "at" in node.value else 0, found)


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
        address = ip_address(text)
    except ValueError:
        raise Refused(f"'{text}' is no address", "write one of IPv4 or IPv6", line) from None
    return bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed
