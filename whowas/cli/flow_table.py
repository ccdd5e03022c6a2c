"""Named flows as a table for people: names with their addresses, and a mark where a name is not certain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from whowas.cli.terminal import COLOURS, clean, console, plural, size

MARKS = {"likely": "~", "ambiguous": "?"}
LEGEND = {
    "~": "~ likely: nobody else is known to have held the address",
    "?": "? ambiguous: it may have been any of the names; none is certain",
}
# No name of ours begins so: Kubernetes allows no colon.
TOLD = "told:"
TOLD_LEGEND = "told: the record says so, the history does not; nobody checked it"
CANDIDATES_SHOWN = 2


def name_of(row: dict[str, Any], side: str) -> str:
    """The name of one end as far as it is known, with its mark; empty where there is none."""
    kind, confidence = row.get(f"{side}_kind"), row.get(f"{side}_confidence")
    if confidence == "ambiguous":
        return "?" + _candidates(row.get(f"{side}_candidates") or [])
    parts = [row.get(f"{side}_namespace"), row.get(f"{side}_workload") or row.get(f"{side}_pod")]
    if kind == "service":
        parts = ["service", parts[0], row.get(f"{side}_service")]
    elif kind == "node":
        parts = ["node", row.get(f"{side}_node")] if row.get(f"{side}_node") else []
    name = "/".join(str(one) for one in parts if one)
    if confidence == "snat" and name:
        name = f"behind {name}"
    return MARKS.get(str(confidence), "") + name if name else ""


def _told(row: dict[str, Any], side: str) -> str:
    """What the record itself calls an end; empty where it does not."""
    name = row.get(f"{side}_told_name")
    space = row.get(f"{side}_told_namespace")
    return TOLD + (f"{space}/{name}" if space else str(name)) if name else ""


def _candidates(several: Iterable[dict[str, Any]]) -> str:
    names = [
        "/".join(str(part) for part in (one["namespace"], one["workload"] or one["name"]) if part) for one in several
    ]
    names = list(dict.fromkeys(names))
    more = f" +{len(names) - CANDIDATES_SHOWN}" if len(names) > CANDIDATES_SHOWN else ""
    return " or ".join(names[:CANDIDATES_SHOWN]) + more


def _end(row: dict[str, Any], side: str) -> str:
    """Name and address, the port behind them."""
    address, port = row[f"{side}_ip"] or "no address", row[f"{side}_port"]
    name = name_of(row, side) or _told(row, side)
    if side == "src" or port is None:
        return f"{name} {address}".strip()
    if name:
        return f"{name}:{port} {address}"
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _sure(row: dict[str, Any]) -> str:
    words = [str(row[f"{side}_confidence"] or "not named") for side in ("src", "dst")]
    return words[0] if words[0] == words[1] else " / ".join(words)


def _bytes(row: dict[str, Any]) -> str:
    both = [row["bytes_out"], row["bytes_in"]]
    return "" if both == [None, None] else size(sum(one or 0 for one in both))


def _time(text: str | None) -> str:
    """A time of a row for people; its zone stands in the head."""
    return "not told" if text is None else text[:23].replace("T", " ")


def print_flows(told: dict[str, Any], rows: Sequence[dict[str, Any]], counted: Any, when: Any) -> None:
    """Print the newest flows, a line each."""
    heads = (f"time ({told['tz']})", "source", "destination", "proto", "bytes", "how sure")
    lines = [
        (_time(row["start_time"]), _end(row, "src"), _end(row, "dst"), row["protocol"] or "", _bytes(row), _sure(row))
        for row in rows
    ]
    _head(told, when)
    _table(heads, lines, right=(4,), coloured=5)
    more = counted.flows - len(rows)
    if more > 0:
        console().print(f"… {plural(more, 'flow')} more, older; --limit shows them")
    _foot(counted, [cell for line in lines for cell in line[1:3]])


def print_top(told: dict[str, Any], rows: Sequence[dict[str, Any]], counted: Any, when: Any) -> None:
    """Print the greatest groups, a line each."""
    names = [one.strip() for one in told["top"].split(",")]
    lines = [
        (
            *(_group(row, name) for name in names),
            f"{row['flows']:,}",
            size(row["bytes"]),
            f"{row['packets']:,}",
        )
        for row in rows
    ]
    _head(told, when)
    _table((*names, "flows", "bytes", "packets"), lines, right=range(len(names), len(names) + 3))
    groups = rows[0]["groups"] if rows else 0
    if groups > len(rows):
        console().print(f"… {plural(groups - len(rows), 'group')} more with less; --limit shows them")
    _foot(counted, [cell for line in lines for cell in line[: len(names)]])


def _group(row: dict[str, Any], name: str) -> str:
    from whowas.query.flow_list import NAMED

    side, _, column = name.partition("_")
    if side in ("src", "dst") and column == "workload":
        named = name_of(row, side)
        address = row.get(f"{side}_ip") or ""
        return f"{named} {address}".strip() if named == "?" or not named else named
    is_name = name in NAMED or name.partition(".")[0] in NAMED
    mark = MARKS.get(str(row.get(f"{side}_confidence")), "") if is_name else ""
    return mark + ("" if row[name] is None else str(row[name]))


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], right: Iterable[int], coloured: int = -1) -> None:
    from rich.text import Text

    screen, sides = console(), set(right)
    cells = [[clean(cell) for cell in line] for line in lines]
    wide = [max(len(head), *(len(line[at]) for line in cells), 0) for at, head in enumerate(heads)]

    def line(several: Sequence[str]) -> str:
        parts = [f"{one:{'>' if at in sides else '<'}{wide[at]}}" for at, one in enumerate(several)]
        return "  ".join(parts).rstrip()

    if cells:
        screen.print(Text(line(heads), style="bold"), soft_wrap=True)
    for one in cells:
        text = Text(line(one))
        if coloured >= 0:
            # The last words of the line, so that a name that is called like one stays as it is.
            for word in one[coloured].split(" / "):
                text.stylize(COLOURS.get(word, ""), len(text) - len(one[coloured]), len(text))
        screen.print(text, soft_wrap=True)


def _head(told: dict[str, Any], when: Any) -> None:
    """Say which time was asked for, and from where it was counted."""
    from whowas.timestamps import spell, zone_of

    zone = zone_of(told["tz"])
    parts = []
    for word, us in (("since", when.low), ("before", when.high), ("at", when.at)):
        name = {"before": "until"}.get(word, word)
        if us is None:
            continue
        back = when.from_last is not None and spelled(told[name])
        parts.append(f"{word} {spell(us, zone, 3)}" + (f" ({told[name]} before the last flow)" if back else ""))
    if parts:
        console().print(clean(f"flows {', '.join(parts)}"), soft_wrap=True)


def spelled(text: str | None) -> bool:
    """Say whether a time was given as a span."""
    from whowas.query.when import span_us

    return text is not None and span_us(text) is not None


def _foot(counted: Any, cells: Sequence[str]) -> None:
    """How many, how sure, what the marks mean, what was left out."""
    screen = console()
    words = counted.in_order()
    ends = sum(words.values()) or 1
    sure = "   ends: " + ", ".join(f"{word} {100 * count / ends:.1f} %" for word, count in words.items())
    screen.print(f"{plural(counted.flows, 'flow')}, {size(counted.bytes)}{sure if words else ''}", soft_wrap=True)
    for mark in LEGEND:
        if any(cell.startswith(mark) for cell in cells):
            screen.print(LEGEND[mark], soft_wrap=True)
    if any(cell.startswith(TOLD) for cell in cells):
        screen.print(TOLD_LEGEND, soft_wrap=True)
    if counted.noise:
        screen.print(f"… {plural(counted.noise, 'flow')} to multicast and broadcast (--noise shows them)")
    if counted.sampled:
        screen.print("some are counted from samples: bytes and packets are as counted, not scaled")
