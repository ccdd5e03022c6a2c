"""Named flows for those who write no SQL: the newest that a filter leaves, their summary, the top of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detect.conditions.fields import ADDRESS, NUMBER, TEXT, advice
from detect.conditions.fields import field as known_field
from detect.conditions.sql_literals import bytes_literal, text_literal
from whowas.errors import ConfigError
from whowas.query.database import Asked, Database
from whowas.query.filters import SIDES, Filter, Not, every, sql_of
from whowas.query.noise import NOISE
from whowas.schema import COLUMNS, CONFIDENCES, PARTITIONS

END = (
    "ip",
    "port",
    "confidence",
    "kind",
    "namespace",
    "workload",
    "workload_kind",
    "pod",
    "service",
    "node",
    "candidates",
    "told_name",
    "told_namespace",
)
SHOWN = (
    "flow_id", "start_time", "end_time", "cluster", "protocol", "bytes_out", "bytes_in", "packets_out", "packets_in",
    *(f"{side}_{name}" for side in SIDES for name in END),
)  # fmt: skip
MEASURES = {
    "bytes": "sum(coalesce(bytes_out, 0) + coalesce(bytes_in, 0))",
    "packets": "sum(coalesce(packets_out, 0) + coalesce(packets_in, 0))",
    "flows": "count(*)",
}
# What naming said of an end: true only as far as its confidence says.
NAMED = {one.name for one in COLUMNS if one.step == "enrich" and one.name.startswith(("src_", "dst_"))} - {
    f"{side}_{name}" for side in SIDES for name in ("confidence", "reason", "candidates")
}


def written_out(asked: Asked) -> str:
    """Return a statement with its parameters as literals, to be run by `whowas query`."""
    literals = [*map(_literal, asked.parameters), ""]
    return "".join(f"{part}{literal}" for part, literal in zip(asked.sql.split("?"), literals, strict=True))


def _literal(value: Any) -> str:
    if isinstance(value, bytes):
        return bytes_literal(value)
    return text_literal(value) if isinstance(value, str) else str(value).lower()


@dataclass
class Summary:
    """All flows that a filter leaves. noise: left out of the rest as such. ends: by confidence, two a flow.

    sampled: some were counted from samples, and their bytes are not scaled.
    """

    flows: int = 0
    noise: int = 0
    bytes: int = 0
    first_us: int | None = None
    last_us: int | None = None
    sampled: bool = False
    ends: Counter[str] = field(default_factory=Counter)

    def in_order(self) -> dict[str, int]:
        """The ends by confidence, in the order in which these are always shown."""
        return {word: self.ends[word] for word in CONFIDENCES if self.ends[word]}


def last_us(database: Database) -> int | None:
    """Return when the last flow began; None when no flow tells."""
    found = database.rows(Asked("SELECT epoch_us(max(start_time)) FROM flows", []))
    return None if found[0][0] is None else int(found[0][0])


def now_us() -> int:
    """Return the time of this machine."""
    return time.time_ns() // 1000


def without_noise(wanted: Filter) -> Filter:
    """Return a filter that leaves out what every network says by itself."""
    return every([wanted, Not(NOISE)])


def newest(wanted: Filter, limit: int) -> Asked:
    """Return the statement for the newest flows, of the columns SHOWN."""
    where, parameters = sql_of(wanted)
    order = "start_time DESC NULLS LAST, flow_id"
    return Asked(f"SELECT {', '.join(SHOWN)}\nFROM flows\nWHERE {where}\nORDER BY {order}\nLIMIT {limit:d}", parameters)


def summary(database: Database, wanted: Filter, noise: bool) -> Summary:
    """Count what a filter leaves. noise: count it with the rest."""
    where, parameters = sql_of(wanted)
    said, more = ("false", []) if noise else sql_of(NOISE, exact=True)
    sql = f"""SELECT {said} AS noise, src_confidence, dst_confidence, count(*), {MEASURES["bytes"]},
        epoch_us(min(start_time)), epoch_us(max(start_time)), coalesce(bool_or(sampling_rate > 1), false)
        FROM flows WHERE {where} GROUP BY ALL"""  # noqa: S608
    found = Summary()
    for is_noise, src, dst, flows, size, first, last, sampled in database.rows(Asked(sql, [*more, *parameters])):
        if is_noise:
            found.noise += flows
            continue
        found.flows += flows
        found.bytes += int(size)
        found.ends.update(dict.fromkeys({src, dst} - {None}, flows))
        found.ends.update({src: flows} if src == dst and src is not None else {})
        found.first_us = min((one for one in (found.first_us, first) if one is not None), default=None)
        found.last_us = max((one for one in (found.last_us, last) if one is not None), default=None)
        found.sampled = found.sampled or sampled
    return found


class Key(NamedTuple):
    """One thing to group by. parts: columns of the answer and their SQL, the same in SELECT and GROUP BY."""

    name: str
    parts: tuple[tuple[str, str, tuple[str, ...]], ...]


def keys(text: str) -> list[Key]:
    """Read `src_workload,dst_workload,dst_port`: fields of rules, columns, src_labels.KEY. Raises: ConfigError."""
    names = [one.strip() for one in text.split(",")]
    if len(set(names)) < len(names):
        raise ConfigError("cannot group by the same column twice; leave one out")
    return [_key(name) for name in names]


def _key(name: str) -> Key:
    known = known_field(name)
    if name in PARTITIONS:
        return Key(name, ((name, name, ()),))
    if known is None or known.kind not in (TEXT, NUMBER, ADDRESS):
        raise ConfigError(
            f"cannot group by '{name[:60]}': {advice(name) if known is None else 'it is no single value'}"
        )
    side = name[:3]
    if name == f"{side}_workload":
        return Key(name, _workload(side))
    own = (name, known.column, ()) if known.key is None else (name, f"{known.column}[?]", (known.key,))
    if known.column in NAMED:
        return Key(name, (own, (f"{side}_confidence", f"{side}_confidence", ())))
    return Key(name, (own,))


def _workload(side: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """All that names an end; its address where nothing does. Ends of different confidence stay apart."""
    nameless = f"{side}_kind IS NULL OR ({side}_kind = 'external' AND {side}_workload IS NULL)"
    sql = {
        "confidence": f"{side}_confidence",
        "kind": f"{side}_kind",
        "namespace": f"{side}_namespace",
        "workload": f"{side}_workload",
        "service": f"CASE WHEN {side}_kind = 'service' THEN {side}_service END",
        "node": f"CASE WHEN {side}_kind = 'node' THEN {side}_node END",
        "ip": f"CASE WHEN {nameless} THEN {side}_ip END",
    }
    return tuple((f"{side}_{name}", one, ()) for name, one in sql.items())


def top(wanted: Filter, grouped: Sequence[Key], by: str, limit: int) -> tuple[Asked, list[str]]:
    """Return the statement for the greatest groups, and the names of its columns."""
    parts = {name: (sql, parameters) for key in grouped for name, sql, parameters in key.parts}
    where, parameters = sql_of(wanted)
    made = [f"{sql} AS g{number}" for number, (sql, _) in enumerate(parts.values())]
    made += [f"{sql} AS {name}" for name, sql in MEASURES.items()]
    made += ["min(start_time) AS first_time", "max(start_time) AS last_time", "count(*) OVER () AS groups"]
    marks = ", ".join(f"g{number}" for number in range(len(parts)))
    sql = (
        f"SELECT {', '.join(made)}\nFROM flows\nWHERE {where}\nGROUP BY {marks}\n"
        f"ORDER BY {by} DESC, {marks}\nLIMIT {limit:d}"
    )
    told = [value for _, several in parts.values() for value in several]
    return Asked(sql, [*told, *parameters]), [*parts, *MEASURES, "first_time", "last_time", "groups"]
