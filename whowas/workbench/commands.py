"""The same question elsewhere: as SQL, as a line for a shell, as the draft of a rule. Nothing is run here."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from whowas.query.database import Asked
from whowas.query.filter_words import Word
from whowas.query.filters import sql_of
from whowas.query.flow_list import written_out
from whowas.timestamps import moment_us, rfc3339
from whowas.workbench.api.common import Commands, Question
from whowas.workbench.filter_text import read

ALWAYS_QUOTED = frozenset("!")
AROUND_US = 300_000_000


class Places(NamedTuple):
    """Where the flows and the history lie, as commands name them; "" = none was given."""

    flows: str
    history: str = ""


def quoted(word: str) -> str:
    """A word for a shell; control characters make no command."""
    if not word.isprintable():
        raise ValueError("a command holds printable text alone")
    return shlex.quote(word)


def of_question(asked: Question, places: Places) -> Commands:
    """The filter and range as SQL for `whowas query`, as `whowas flows`, and as a Sigma rule."""
    typed = read(asked.filter)
    where, values = sql_of(typed.filter)
    if asked.range is not None:
        since, until = rfc3339(asked.range.since), rfc3339(asked.range.until)
        where += f" AND start_time >= '{since}' AND start_time < '{until}'"
    sql = written_out(Asked(f"SELECT *\nFROM flows\nWHERE {where}\nORDER BY start_time DESC\nLIMIT 100", values))
    return Commands(sql, _line(asked, typed.words, places), _sigma(typed.words))


def _line(asked: Question, words: tuple[Word, ...], places: Places) -> str:
    told = ["whowas", "flows", "--flows", places.flows, "--noise"]
    for one in words:
        if one.negated:
            told += ["--not", f"{one.word}={one.value}"]
        elif one.word == "external":
            told += ["--external" if one.value == "true" else "--internal"]
        else:
            told += [f"--{one.word}", one.value]
    if asked.range is not None:
        told += ["--since", rfc3339(asked.range.since), "--until", rfc3339(asked.range.until)]
    try:
        return " ".join(map(quoted, told))
    except ValueError:
        return "# no command is written: the filter holds characters that do not print"


FIELDS = {"protocol": "protocol", "direction": "direction", "cluster": "cluster"}


def _sigma(words: tuple[Word, ...]) -> str:
    """A draft. What a rule says otherwise than a filter stands in it as a comment."""
    lines = ["title: Draft of a filter", "status: experimental"]
    lines.append("logsource: {category: network_flow, product: kubernetes}")
    kept: list[tuple[str, str, Word]] = []
    left: list[tuple[str, str, Word]] = []
    for one in words:
        name, value = _field(one)
        (kept if name else left).append((name, value, one))
    lines.append("detection:")
    for title, chosen in (("selection", False), ("filter", True)):
        mine = [(name, value) for name, value, one in kept if one.negated is chosen]
        if mine:
            lines.append(f"  {title}:")
            lines += [f"    {name}: {_yaml(value)}" for name, value in mine]
    has = [any(one.negated is chosen for _, _, one in kept) for chosen in (False, True)]
    lines.append(f"  condition: {_condition(*has)}")
    lines += [f"# write by hand: {'not ' if one.negated else ''}{_comment(one)}" for _, _, one in left]
    return "\n".join([*lines, "level: medium", ""])


def _condition(selection: bool, filtered: bool) -> str:
    return " and ".join((["selection"] if selection else []) + (["not filter"] if filtered else [])) or "selection"


def _field(one: Word) -> tuple[str, str]:
    if one.word == "where":
        name, _, value = one.value.partition("=")
        return name, value
    return (FIELDS[one.word], one.value) if one.word in FIELDS else ("", "")


def _yaml(value: str) -> str:
    import json

    return value if value.isdigit() else json.dumps(value)


def _comment(one: Word) -> str:
    return ascii(f"{one.word}={one.value}")


def of_flow(row: dict[str, Any], places: Places) -> list[str]:
    """Commands that show one flow, and who its ends were then."""
    found = [f"whowas query \"FROM flows WHERE flow_id = '{row['flow_id']}'\" --flows {_safe(places.flows)}"]
    for side in ("src", "dst"):
        address, start = row.get(f"{side}_ip"), row.get("start_time")
        if address and start and places.history and all(one in "0123456789abcdefABCDEF.:" for one in address):
            told = ["whowas", "who", address, "--at", start, "--history", places.history, "--explain"]
            found.append(" ".join(map(_safe, told)))
    ips = [one for one in (row.get("src_ip"), row.get("dst_ip")) if one]
    if len(ips) == 2 and row.get("start_time"):
        at = moment_us(row["start_time"])
        told = ["whowas", "flows", "--flows", places.flows, "--ip", ips[0]]
        told += ["--since", rfc3339(at - AROUND_US), "--until", rfc3339(at + AROUND_US)]
        found.append(" ".join(map(_safe, told)))
    return found


def _safe(word: str) -> str:
    return quoted(word) if word.isprintable() else "DIR"
