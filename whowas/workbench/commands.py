"""The same question elsewhere: as SQL, as a line for a shell, as the draft of a rule. Nothing is run here."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from detect.policy.flow_ends import CERTAIN_POD
from detect.policy.flow_questions import ACK, SYN
from detect.policy.model import PROTOCOLS
from whowas.query.database import Asked
from whowas.query.filter_words import Word
from whowas.query.filters import sql_of
from whowas.query.flow_list import written_out
from whowas.timestamps import moment_us, rfc3339
from whowas.workbench.api.common import Commands, Question
from whowas.workbench.filter_text import read
from whowas.workbench.sigma_draft import draft

ALWAYS_QUOTED = frozenset("!")
AROUND_US = 300_000_000


class Places(NamedTuple):
    """Where flows, history and findings lie, as commands name them; "" and () = none was given."""

    flows: str
    history: tuple[str, ...] = ()
    findings: str = ""


def quoted(word: str) -> str:
    """A word for a shell; control characters make no command."""
    if not word.isprintable():
        raise ValueError("a command holds printable text alone")
    return shlex.quote(word)


def of_question(asked: Question, places: Places) -> Commands:
    """The filter and range as SQL for `whowas query`, as `whowas flows` and `whowas report`, and as a Sigma rule."""
    typed = read(asked.filter)
    where, values = sql_of(typed.filter)
    if asked.range is not None:
        since, until = rfc3339(asked.range.since), rfc3339(asked.range.until)
        where += f" AND start_time >= '{since}' AND start_time < '{until}'"
    sql = written_out(Asked(f"SELECT *\nFROM flows\nWHERE {where}\nORDER BY start_time DESC\nLIMIT 100", values))
    return Commands(sql, _line(asked, typed.words, places), of_report(asked, places), draft(typed.words))


def _line(asked: Question, words: tuple[Word, ...], places: Places) -> str:
    told = ["whowas", "flows", "--flows", places.flows, "--noise"]
    for one in words:
        if one.negated:
            told += ["--not", f"{one.word}={one.value}"]
        elif one.word == "external":
            told += ["--external" if one.value == "true" else "--internal"]
        else:
            told += [f"--{one.word}", one.value]
    return _written([*told, *_span(asked)])


def _span(asked: Question) -> list[str]:
    if asked.range is None:
        return []
    return ["--since", rfc3339(asked.range.since), "--until", rfc3339(asked.range.until)]


def _written(words: list[str]) -> str:
    try:
        return " ".join(map(quoted, words))
    except ValueError:
        return "# no command is written: it would hold characters that do not print"


def _histories(places: Places) -> list[str]:
    return [word for one in places.history for word in ("--history", one)]


def of_report(asked: Question, places: Places, finding: str = "") -> str:
    """The line that writes a report of a filter and range, or of a finding."""
    words = ["whowas", "report", "--flows", places.flows]
    words += _histories(places)
    given = (("--findings", places.findings), ("--finding", finding), ("--filter", asked.filter))
    for option, value in given:
        words += [option, value] if value else []
    return _written([*words, *_span(asked), "-o", "report.html"])


def of_who(what: str, at: int | None, places: Places) -> str:
    """The line that says who held an address, with its evidence."""
    moment = [] if at is None else ["--at", rfc3339(at)]
    return _written(["whowas", "who", what, *moment, *_histories(places), "--explain"])


def of_flow(row: dict[str, Any], places: Places) -> list[str]:
    """Commands that show one flow, and who its ends were then."""
    found = [f"whowas query \"FROM flows WHERE flow_id = '{row['flow_id']}'\" --flows {_safe(places.flows)}"]
    for side in ("src", "dst"):
        address, start = row.get(f"{side}_ip"), row.get("start_time")
        if address and start and places.history and all(one in "0123456789abcdefABCDEF.:" for one in address):
            told = ["whowas", "who", address, "--at", start, *_histories(places), "--explain"]
            found.append(" ".join(map(_safe, told)))
    ips = [one for one in (row.get("src_ip"), row.get("dst_ip")) if one]
    if len(ips) == 2 and row.get("start_time"):
        at = moment_us(row["start_time"])
        told = ["whowas", "flows", "--flows", places.flows, "--ip", ips[0]]
        told += ["--since", rfc3339(at - AROUND_US), "--until", rfc3339(at + AROUND_US)]
        found.append(" ".join(map(_safe, told)))
    return found


def of_walk(row: dict[str, Any], places: Places) -> list[str]:
    """Commands that walk through what policies said of a flow; two where the record does not say who opened it."""
    verdict, start, protocol = (row.get(name) for name in ("policy_verdict", "start_time", "protocol"))
    if not verdict or not start or not places.history or protocol not in PROTOCOLS:
        return []
    ways = [("src", "dst")] if _opened_by_source(row) else [("src", "dst"), ("dst", "src")]
    return [_walk(row, source, target, places) for source, target in ways if row.get(f"{target}_port")]


def _walk(row: dict[str, Any], source: str, target: str, places: Places) -> str:
    other, protocol = _end(row, target), row["protocol"]
    name = f"[{other}]" if ":" in other else other
    port = f"{row[f'{target}_port']}{'' if protocol == 'tcp' else f'/{protocol}'}"
    cluster = ["--cluster", row["cluster"]] if row.get("cluster") else []
    words = ["--from", _end(row, source), "--to", f"{name}:{port}", "--at", row["start_time"], *cluster]
    return _written(["whowas", "policy", "explain", *words, *_histories(places)])


def _end(row: dict[str, Any], side: str) -> str:
    """A pod by its name; what is less than one pod by its address, and so by all that may have held it."""
    if row.get(f"{side}_kind") == "pod" and row.get(f"{side}_confidence") in CERTAIN_POD and row.get(f"{side}_pod"):
        return f"{row[f'{side}_namespace']}/{row[f'{side}_pod']}"
    return str(row.get(f"{side}_ip") or "")


def _opened_by_source(row: dict[str, Any]) -> bool:
    """As the judge takes it (detect.policy.flow_verdicts); who listens it knows from the pods, a row does not."""
    flags = row.get("tcp_flags_out") or 0
    return row.get("initiator_basis") in ("syn", "record") or bool(flags & SYN and not flags & ACK)


def _safe(word: str) -> str:
    return quoted(word) if word.isprintable() else "DIR"
