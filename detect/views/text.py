"""A finding as text of one screen: worth copying into a ticket, harmless on a terminal.

Never more than HEIGHT lines of WIDTH columns. Prose is cut where it must be; a command never is: one that has no room
is not shown, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any, NamedTuple

from detect.model import Finding
from detect.views import remediation
from detect.views.flow_ends import SURE, End, both
from detect.views.json_values import images, labels
from detect.views.mitre_attack import attacks
from detect.views.text_wrap import WIDTH, columns, cut, fold
from whowas.safe_text import clean, size
from whowas.timestamps import spell

HEIGHT = 24
MARGIN = 9
FLOWS_SHOWN = 3
CANDIDATES_SHOWN = 3


class Block(NamedTuple):
    """Lines that stand or fall together. rank: the higher, the sooner it gives way."""

    rank: int
    lines: list[str]
    command: bool = False


def headline(finding: Finding) -> str:
    """Return one line that says what happened to whom; nothing in it is a control character."""
    return f"{clean(finding.rule.title)}: {group(finding)}; {_counted(finding)}"


def group(finding: Finding) -> str:
    """Return what the flows of a finding have in common, as `column=value`."""
    return " ".join(f"{clean(name)}={'-' if value is None else clean(value)}" for name, value in finding.group) or "all"


def text(finding: Finding, places: remediation.DataLocations = remediation.DEFAULT_LOCATIONS) -> str:
    """Return the finding as lines, without a newline at the end."""
    blocks = [*_head(finding), *_ends(finding), *_flows(finding), *_advice(remediation.advise(finding, places))]
    left_out = 0
    while sum(len(one.lines) for one in blocks) + bool(left_out) > HEIGHT:
        worst = max(range(len(blocks)), key=lambda n: (blocks[n].rank, n))
        left_out += blocks.pop(worst).command
    lines = [line for one in blocks for line in one.lines]
    if left_out:
        lines.append(f"{left_out} more command{'s' * (left_out > 1)}: in the finding's JSON, under remediation")
    return "\n".join(lines)


def _row(rank: int, name: str, told: str) -> Block:
    """A line with its name in the margin; no line at all where there is nothing to tell."""
    return Block(rank, [cut(f"{name + ' ':<{MARGIN}}{told}")] if told else [])


def _head(finding: Finding) -> list[Block]:
    rule = finding.rule
    names = ((tactic, technique) for tactic, technique in attacks(rule))
    told = dict.fromkeys(f"{one.uid} {one.name or ''}".strip() for pair in names for one in reversed(pair) if one)
    first, last = spell(finding.first_us, digits=3).removesuffix(" UTC"), spell(finding.last_us, digits=3)
    return [
        _row(0, clean(rule.level.upper()), clean(rule.title)),
        _row(0, "finding", f"{clean(finding.uid)} revision {finding.revision}, rule {clean(rule.name)}"),
        _row(0, "when", f"{first} .. {last}; {_counted(finding)}"),
        _row(1, "attack", clean(", ".join(told))),
        _row(5, "group", group(finding) if finding.group else ""),
        _row(1, "why", clean(rule.description)),
        _row(6, "unless", clean("; ".join(rule.false_positives))),
    ]


def _counted(finding: Finding) -> str:
    told = f"{finding.count:,} flow{'s' * (finding.count != 1)}"
    return told if finding.values is None else f"{told}, {finding.values:,} distinct"


def _ends(finding: Finding) -> list[Block]:
    """Both ends of the first flow; of the others it is told that there are any."""
    if not finding.flows:
        return []
    return [block for one in both(finding.flows[0]) for block in _end(one, finding)]


def _end(one: End, finding: Finding) -> list[Block]:
    held = " ".join(f"{clean(key)}={clean(value)}" for key, value in labels(one.labels).items())
    shown = (
        "labels " + held if held else "",
        "image " + " ".join(map(clean, images(one.images))) if one.images else "",
    )
    blocks = [
        _row(0, one.side, f"{_where(one)}  {_name(one)}{_others(one, finding)}"),
        _row(0, "", f"{clean(one.confidence or 'unknown')}: {clean(one.reason or 'no reason is told')}"),
        _row(3 if one.side == "src" else 4, "", "  ".join(filter(None, shown))),
    ]
    if one.confidence not in SURE and one.candidates:
        blocks.append(_row(1, "", f"maybe {_candidates(one)}"))
    return blocks


def _name(one: End) -> str:
    owner = " ".join(clean(word) for word in (one.workload_kind, one.workload) if word)
    zone = f" (zone {clean(one.zone)})" if one.zone else ""
    node = f"on {clean(one.node)}{zone}" if one.node and one.pod else ""
    label = clean(one.label) if one.label != one.ip else ""
    return "  ".join(dict.fromkeys(filter(None, (label, owner if one.pod else "", node))))


def _others(one: End, finding: Finding) -> str:
    """How many other ends the evidence has on this side; the ports a client comes from are no other ends."""
    ends = [end for flow in finding.flows for end in both(flow) if end.side == one.side]
    others = len({(end.ip, end.pod_uid, end.pod) for end in ends}) - 1
    return f"  and {others} more" if others else ""


def _candidates(one: End) -> str:
    names = [f"{clean(other.get('namespace') or '')}/{clean(other.get('name') or '?')}" for other in one.candidates]
    more = f" and {len(names) - CANDIDATES_SHOWN} more" if len(names) > CANDIDATES_SHOWN else ""
    return ", ".join(names[:CANDIDATES_SHOWN]) + more


def _flows(finding: Finding) -> list[Block]:
    shown = finding.flows[:FLOWS_SHOWN]
    blocks = [_row(7 if n else 2, "" if n else "flows", _flow(flow)) for n, flow in enumerate(shown)]
    left = finding.count - len(shown)
    return [*blocks, _row(4, "", f"and {left:,} more" if left > 0 else "")]


def _flow(flow: Mapping[str, Any]) -> str:
    source, destination = both(flow)
    start = flow.get("start_time")
    clock = start.strftime("%H:%M:%S.%f")[:-3] if start is not None else "?"
    sizes = ((word, flow.get(f"bytes_{word}")) for word in ("out", "in"))
    counted = " ".join(f"{word} {size(count)}" for word, count in sizes if count is not None)
    return f"{clock} {_where(source)} -> {_where(destination)} {clean(flow.get('protocol') or '?')}  {counted}".rstrip()


def _where(one: End) -> str:
    ip = clean(one.ip or "?")
    if one.port is None:
        return ip
    return f"[{ip}]:{one.port}" if ":" in ip else f"{ip}:{one.port}"


def _advice(told: remediation.Advice) -> list[Block]:
    blocks = [_command(told.look, n, "look closer:", 1 if n == 0 else 3) for n in range(len(told.look))]
    if told.isolate:
        pods = ", ".join(map(clean, told.pods))
        head = cut(f"cut off {pods}, if you decide so; whowas runs nothing. Its labels and Services stay:")
        blocks += [_command(told.isolate, n, head, 2 if n < 2 else 6) for n in range(len(told.isolate))]
    return [*blocks, *_unlabelling(told), *(_note(one) for one in told.notes if one not in remediation.UNLABELLED)]


def _unlabelling(told: remediation.Advice) -> list[Block]:
    """The commands and what they do, as one: neither is shown without the other."""
    if not told.unlabel:
        return []
    head = ["where other policies still let it talk, take its labels too:"]
    notes = [line for one in remediation.UNLABELLED for line in _note(one).lines]
    commands = [_command(told.unlabel, n, "", 6).lines for n in range(len(told.unlabel))]
    return [Block(6, head + [line for lines in commands for line in lines if line] + notes, command=True)]


def _note(note: str) -> Block:
    """A note in as many lines as it takes: what it warns of must not be cut away."""
    lines = wrap(clean(note), WIDTH - MARGIN)
    rank = 5 if note in remediation.LABELLED else 1
    return Block(rank, [cut(f"{'' if n else 'note ':<{MARGIN}}{line}") for n, line in enumerate(lines)])


def _command(commands: tuple[str, ...], number: int, head: str, rank: int) -> Block:
    lines = fold(commands[number])
    if max(map(columns, lines)) > WIDTH:
        rank, lines = 1000, lines + [""] * HEIGHT
    return Block(rank, [head, *lines] if number == 0 else lines, command=True)
