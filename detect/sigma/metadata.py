"""Reads a rule's title, id, level, tags and `whowas:` options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from detect.conditions.fields import NUMBERS, TEXTS, advice, field
from detect.model import ABOUT, HOUR_US, LEVELS, FirstSeen, RuleInfo
from detect.sigma.refusals import Refused
from detect.sigma.timespans import duration_us
from detect.sigma.yaml_documents import Node

GROUP_BY = ("src_namespace", "src_workload", "dst_namespace", "dst_workload")
"""What makes one finding of many flows where a rule says nothing else."""

COMMON = (
    *("title", "id", "name", "taxonomy", "level", "status", "description", "license", "references", "author", "date"),
    *("modified", "tags", "fields", "falsepositives", "related", "scope"),
)
OWN = ("about", "group_by", "window", "topic", "first_seen", "tests")
_STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
_TECHNIQUE = re.compile(r"attack\.(t[0-9]{4}(?:\.[0-9]{3})?)", re.IGNORECASE)
_TAG = re.compile(r"[a-z0-9_-]+\.[A-Za-z0-9._-]+")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True)
class Own:
    """What stands under `whowas:`."""

    group_by: tuple[str, ...] | None = None
    window_us: int = HOUR_US
    topic: str | None = None
    first_seen: FirstSeen | None = None
    tests: Node | None = None
    about: str = "src"


def words(node: Node, known: Iterable[str], what: str) -> dict[str, Node]:
    """Return a mapping's nodes. Raises: Refused if it is none or has a key that is not known."""
    if not node.is_map():
        raise Refused(f"{what} is no mapping", "write key: value below it", node.line)
    known = list(known)
    every = set(known)
    for key in node.value:
        if key not in every:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise Refused(f"'{key}' is no word of {what}", meant, node.key_lines[key])
    found: dict[str, Node] = node.value
    return found


def text(nodes: dict[str, Node], key: str, longest: int = 4096) -> str:
    """Return a text; "" where it is not given. Raises: Refused."""
    node = nodes.get(key)
    if node is None or node.value is None:
        return ""
    if not isinstance(node.value, (str, int, float)) or isinstance(node.value, bool):
        raise Refused(f"{key} is no text", "write it as one", node.line)
    if len(node.text) > longest:
        raise Refused(f"{key} is longer than {longest} characters", "shorten it", node.line)
    return node.text.strip()


def texts(nodes: dict[str, Node], key: str) -> tuple[str, ...]:
    """Return a list of texts, one text being a list of one; () where it is not given. Raises: Refused."""
    node = nodes.get(key)
    if node is None or node.value is None:
        return ()
    for one in node.items():
        if not isinstance(one.value, (str, int, float)):
            raise Refused(f"{key} is no list of texts", "write it as one", one.line)
    return tuple(one.text for one in node.items())


def columns(nodes: dict[str, Node], key: str, others: Iterable[str] = ()) -> tuple[str, ...]:
    """Return names of fields that hold one value each, or of `others`. Raises: Refused."""
    named = texts(nodes, key)
    for one, node in zip(named, nodes[key].items() if named else (), strict=True):
        found = field(one)
        if found is None and one not in others:
            raise Refused(f"'{one}' is no field of a flow", advice(one), node.line)
        if found and found.kind in (TEXTS, NUMBERS):
            raise Refused(f"{one} holds a list, which makes no group", "leave it out", node.line)
    if len(set(named)) < len(named):
        raise Refused(f"{key} names a field twice", "leave one", nodes[key].line)
    return named


def info_of(node: Node, nodes: dict[str, Node], own: Own, path: str, stem: str) -> RuleInfo:
    """Return what a rule says of itself. Args: stem: its name if it gives none. Raises: Refused."""
    for key in ("title", "id", "level"):
        if not text(nodes, key):
            raise Refused(f"there is no {key}", f"add one, as in {_EXAMPLES[key]}", node.line)
    tags = _tags(nodes)
    return RuleInfo(
        id=_id(nodes["id"]),
        name=text(nodes, "name", 256) or stem,
        title=text(nodes, "title", 256),
        level=_one_of(nodes["level"], "level", LEVELS),
        description=text(nodes, "description", 65_536),
        status=_one_of(nodes["status"], "status", _STATUSES) if "status" in nodes else "",
        author=text(nodes, "author"),
        tags=tags,
        attacks=tuple(found[1].upper() for tag in tags if (found := _TECHNIQUE.fullmatch(tag))),
        false_positives=texts(nodes, "falsepositives"),
        references=texts(nodes, "references"),
        group_by=GROUP_BY if own.group_by is None else own.group_by,
        window_us=own.window_us,
        topic=own.topic,
        about=own.about,
        path=path,
        line=node.line,
    )


_EXAMPLES = {
    "title": "title: What is found",
    "id": "id: 7d0c…, a UUID of its own (uuidgen makes one)",
    "level": f"level: medium ({', '.join(LEVELS)})",
}


def _id(node: Node) -> str:
    try:
        return str(UUID(node.text))
    except ValueError:
        raise Refused(f"the id '{node.text}' is no UUID", "make one with uuidgen", node.line) from None


def _one_of(node: Node, what: str, known: tuple[str, ...]) -> str:
    word = node.value.lower() if isinstance(node.value, str) else node.text
    if word not in known:
        raise Refused(f"the {what} '{node.text}' is not known", f"use one of {', '.join(known)}", node.line)
    return word


def _tags(nodes: dict[str, Node]) -> tuple[str, ...]:
    found = texts(nodes, "tags")
    for one, node in zip(found, nodes["tags"].items() if found else (), strict=True):
        if not _TAG.fullmatch(one):
            raise Refused(f"the tag '{one}' has no namespace", "write it as attack.t1046", node.line)
    return found


def own_of(nodes: dict[str, Node], aliases: Iterable[str] = ()) -> Own:
    """Return what stands under `whowas:`. Args: aliases: of a correlation: advice may be about one. Raises: Refused."""
    if "whowas" not in nodes:
        return Own()
    own = words(nodes["whowas"], OWN, "whowas")
    topic = text(own, "topic")
    if "topic" in own and not _TOPIC.fullmatch(topic):
        raise Refused(f"'{topic}' is no name of a topic", "use letters, digits, '.', '_' and '-'", own["topic"].line)
    return Own(
        columns(own, "group_by") if "group_by" in own else None,
        duration_us(own["window"], 1_000_000) if "window" in own else HOUR_US,
        topic or None,
        _first_seen(own["first_seen"]) if "first_seen" in own else None,
        own.get("tests"),
        _about(own, aliases),
    )


def _about(own: dict[str, Node], aliases: Iterable[str]) -> str:
    known = (*ABOUT, *aliases)
    if "about" in own and own["about"].value not in known:
        line = own["about"].line
        raise Refused(f"about: '{own['about'].text}' is no end", f"use one of {', '.join(known)}", line)
    return str(own["about"].value) if "about" in own else ABOUT[0]


def _first_seen(node: Node) -> FirstSeen:
    told = words(node, ("by", "within", "learn"), "first_seen")
    for key, example in (("by", "[src_workload, dst_workload]"), ("within", "30d"), ("learn", "7d")):
        if key not in told:
            raise Refused(f"first_seen lacks '{key}'", f"add {key}: {example}", node.line)
    by = columns(told, "by")
    if not by:
        raise Refused("first_seen has no field to go by", "add by: [src_workload, dst_workload]", node.line)
    return FirstSeen(by, duration_us(told["within"], 1_000_000), duration_us(told["learn"], 0))
