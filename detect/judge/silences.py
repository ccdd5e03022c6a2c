"""Reads silences: findings that stay untold until a date.

    [[silence]]
    id = "report-job-scans"            # unique
    rule = "2f6c…"                     # id or name of a rule, or "*" for all
    until = 2026-12-24T00:00:00Z       # needed, with a zone; of the flows' time, so that a backtest is as silent
    reason = "the report job probes its databases"
    author = "kim"
    [silence.match]                    # all must fit; a text may hold * and ?, a list means any of these
    src_namespace = "batch"
    src_workload = ["report-*", "audit"]

What is matched is the finding's group; a column that is not part of the group must fit on every flow of the evidence.
A finding is silenced while its last flow lies before `until`. It is counted and kept; when the silence is taken out of
the file, it is told.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from detect.judge.flow_text import LABELS, text_of
from detect.model import Finding, RuleInfo
from whowas.errors import ConfigError
from whowas.schema import table_schema
from whowas.timestamps import moment_us, rfc3339
from whowas.toml_files import read_toml

WORDS = ("id", "rule", "until", "reason", "author", "match")


@dataclass(frozen=True)
class Silence:
    """One silence. until_us: event time. match: column -> patterns, of which one must fit."""

    id: str
    rule: str
    until_us: int
    reason: str = ""
    author: str = ""
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _fits(self) -> dict[str, re.Pattern[str]]:
        return {one: re.compile("|".join(map(_pattern, many)), re.IGNORECASE) for one, many in self.match.items()}

    def is_for(self, finding: Finding) -> bool:
        """Say whether it could be about this finding, by rule and time."""
        names = ("*", finding.rule.id, finding.rule.name)
        return self.rule in names and finding.last_us < self.until_us

    def covers(self, finding: Finding) -> bool:
        """Say whether a finding (with its evidence) is not to be told."""
        group = dict(finding.group)
        return self.is_for(finding) and all(
            _said(pattern, group[column]) if column in group else _all_say(pattern, column, finding.flows)
            for column, pattern in self._fits.items()
        )


class Silences:
    """The silences of a file. Raises: ConfigError for what cannot be honoured."""

    def __init__(self, silences: Sequence[Silence] = (), path: str = "") -> None:
        self.silences = tuple(silences)
        self.path = path

    @classmethod
    def load(cls, path: str) -> Silences:
        """Read a file of silences."""
        return cls(_silences(read_toml(path, "silences", "see docs/how-to/rules.md"), path), path)

    def check(self, rules: Iterable[RuleInfo]) -> None:
        """Refuse a silence of a rule that is not there: misspelt, it would silence nothing. Raises: ConfigError."""
        known = {"*"} | {word for rule in rules for word in (rule.id, rule.name)}
        for number, one in enumerate(self.silences, 1):
            if one.rule not in known:
                near = difflib.get_close_matches(one.rule, sorted(known), 1)
                advice = f"did you mean '{near[0]}'?" if near else "see 'whowas rules list'"
                raise _refusal(self.path, number, f"no rule is called '{one.rule}'", advice)

    def of(self, finding: Finding) -> Silence | None:
        """Return the silence that covers a finding, or None."""
        return next((one for one in self.silences if one.covers(finding)), None)

    def could_be_for(self, finding: Finding) -> bool:
        """Say whether the evidence must be looked at."""
        return any(one.is_for(finding) for one in self.silences)

    def expired(self, at_us: int) -> list[Silence]:
        """Return what is over at a time, to be told to people: it can go from the file."""
        return [one for one in self.silences if one.until_us <= at_us]


def _pattern(text: str) -> str:
    # fnmatch knows [sets] too; Sigma and this file know * and ? only.
    return fnmatch.translate(text.replace("[", "[[]"))


def _said(pattern: re.Pattern[str], value: str | None) -> bool:
    return value is not None and pattern.match(value) is not None


def _all_say(pattern: re.Pattern[str], column: str, flows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(flows) and all(_said(pattern, text_of(flow, column)) for flow in flows)


def _silences(told: Mapping[str, Any], path: str) -> list[Silence]:
    odd = sorted(set(told) - {"silence"})
    entries = told.get("silence", [])
    if odd or not isinstance(entries, list):
        raise ConfigError(f"cannot read silences '{path}': '{(odd or ['silence'])[0]}' is unknown; write [[silence]]")
    found: dict[str, Silence] = {}
    for number, entry in enumerate(entries, 1):
        one = _silence(entry, path, number)
        if one.id in found:
            raise _refusal(path, number, f"the id '{one.id}' was there before", "give each its own")
        found[one.id] = one
    return list(found.values())


def _silence(entry: Any, path: str, number: int) -> Silence:
    if not isinstance(entry, Mapping):
        raise _refusal(path, number, "there is no table", "write [[silence]] and its words below it")
    for word in entry:
        if word not in WORDS:
            raise _refusal(path, number, f"'{word}' is unknown", f"known are {', '.join(WORDS)}")
    texts = {}
    for word in ("id", "rule", "reason", "author"):
        texts[word] = entry.get(word, "")
        if not isinstance(texts[word], str) or (word in ("id", "rule") and not texts[word]):
            raise _refusal(path, number, f"'{word}' is no text, or empty", f'write {word} = "…"')
    match = entry.get("match", {})
    if not isinstance(match, dict):
        raise _refusal(path, number, "'match' is no table", "write [silence.match] and columns below it")
    patterns = {column: _patterns(column, value, path, number) for column, value in match.items()}
    return Silence(**texts, until_us=_until(entry.get("until"), path, number), match=patterns)


def _until(value: Any, path: str, number: int) -> int:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return moment_us(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return moment_us(datetime(value.year, value.month, value.day, tzinfo=UTC))
    raise _refusal(path, number, "'until' is needed, a date with a zone", "write until = 2026-12-24T00:00:00Z")


def _patterns(column: str, value: Any, path: str, number: int) -> tuple[str, ...]:
    if column not in table_schema().names and column.partition(".")[0] not in LABELS:
        raise _refusal(path, number, f"'{column}' is no column of a flow", "see docs/reference/schema.md")
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, (str, int)) for one in values):
        raise _refusal(path, number, f"'{column}' is neither text nor number", "a list means any of its entries")
    return tuple(("true" if one else "false") if isinstance(one, bool) else str(one) for one in values)


def _refusal(path: str, number: int, cause: str, cure: str) -> ConfigError:
    return ConfigError(f"cannot read silences '{path}': in silence {number} {cause}; {cure}")


def spelled(silence: Silence) -> str:
    """Return a silence in one line, for people."""
    return f"{silence.id} (rule {silence.rule}, until {rfc3339(silence.until_us)}, {silence.author or 'nobody named'})"
