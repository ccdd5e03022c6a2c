"""Named flows as Altair charts, for notebooks (extra `plot`). Every name stands with how sure it is.

A chart holds sums, never rows of flows: a notebook stays small, and shows what is in it to whoever opens it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from whowas.errors import ConfigError, MissingExtra
from whowas.safe_text import clean
from whowas.schema import CONFIDENCES
from whowas.timestamps import rfc3339

if TYPE_CHECKING:
    import altair

NAMED = ("namespace", "workload", "service", "kind", "confidence")
MEASURED = ("bytes_out", "bytes_in")
MOST_NAMES, LONGEST, BUCKETS = 40, 60, 120
COLOURS = ("#15653a", "#3b8f5f", "#b35900", "#245a8d", "#0b7285", "#8a5a00", "#5a4a8a", "#8a2d60", "#b00020")
LENGTHS = tuple(seconds * 1_000_000 for seconds in (1, 10, 60, 600, 3600, 21_600, 86_400))


def timeline(flows: Any) -> altair.Chart:
    """Flows over time, by the confidence of their weaker end.

    Args: flows: named flows: a pyarrow table or batch, or a pandas or polars frame. Those without a start are left out.
    Raises: ConfigError for a table that lacks a column, MissingExtra.
    """
    alt = _altair()
    table = _table(flows, ("start_time", "src_confidence", "dst_confidence"))
    found: Counter[tuple[int, str]] = Counter()
    length = _length(table)
    for row in _grouped(table, length, ["src_confidence", "dst_confidence"]):
        weaker = max((row[f"{side}_confidence"] or "unknown" for side in ("src", "dst")), key=_rank)
        found[row["bucket"], weaker] += row["flows"]
    rows = [
        {**_span(start, length), "confidence": sure, "rank": _rank(sure), "flows": flows}
        for (start, sure), flows in sorted(found.items())
    ]
    colour = alt.Color("confidence:N", title="weaker end", scale=alt.Scale(domain=CONFIDENCES, range=COLOURS))
    chart: altair.Chart = _over_time(alt, rows).encode(y=alt.Y("flows:Q", title="flows"), color=colour, order="rank:Q")
    return chart


def traffic(flows: Any, top: int = 8) -> altair.Chart:
    """Bytes over time of the heaviest edges; all others are one colour.

    Args: flows: as of `timeline`. top: edges that have a colour of their own. Bytes are bytes_out + bytes_in.
    """
    alt = _altair()
    keys = [f"{side}_{name}" for side in ("src", "dst") for name in NAMED]
    table = _table(flows, ("start_time", *keys, *MEASURED))
    length = _length(table)
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for row in _grouped(table, length, keys):
        found[f"{_end(row, 'src')} → {_end(row, 'dst')}"][row["bucket"]] += row["bytes"]
    heavy = sorted(found, key=lambda edge: (-found[edge].total(), edge))
    rest: Counter[int] = sum((found[edge] for edge in heavy[top:]), Counter())
    told = {edge: found[edge] for edge in heavy[:top]}
    if heavy[top:]:
        told[f"all others ({len(heavy) - top})"] = rest
    rows = [
        {**_span(start, length), "edge": edge, "bytes": size}
        for edge, sums in told.items()
        for start, size in sorted(sums.items())
    ]
    colour = alt.Color("edge:N", title="edge", sort=list(told), legend=alt.Legend(labelLimit=400, symbolLimit=0))
    height = alt.Y("bytes:Q", title="bytes", axis=alt.Axis(format="~s"))
    chart: altair.Chart = _over_time(alt, rows).encode(y=height, color=colour)
    return chart


def service_map(flows: Any, top: int = MOST_NAMES) -> altair.Chart:
    """Who talked to whom, as a matrix. Ends of different confidence are different rows, even of one name.

    Args: flows: as of `timeline`, a start is not needed. top: names shown, by flows; the title says how many are not.
    """
    alt = _altair()
    keys = [f"{side}_{name}" for side in ("src", "dst") for name in NAMED]
    table = _table(flows, (*keys, *MEASURED))
    edges: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    names: Counter[str] = Counter()
    for row in _grouped(table, None, keys):
        edge = _end(row, "src"), _end(row, "dst")
        edges[edge] += row["flows"]
        sizes[edge] += row["bytes"]
        for name in set(edge):
            names[name] += row["flows"]
    kept = sorted(names, key=lambda name: (-names[name], name))[:top]
    rows = [
        {"from": src, "to": dst, "flows": count, "bytes": sizes[src, dst]}
        for (src, dst), count in sorted(edges.items())
        if src in kept and dst in kept
    ]
    left = len(names) - len(kept)
    title = "who talked to whom" + (f" ({left} more names are not shown)" if left else "")
    order = sorted(kept)
    chart: altair.Chart = (
        alt.Chart(alt.Data(values=rows), title=title)
        .mark_rect()
        .encode(
            x=alt.X("to:N", sort=order, axis=alt.Axis(labelLimit=300)),
            y=alt.Y("from:N", sort=order, axis=alt.Axis(labelLimit=300)),
            color=alt.Color("flows:Q", scale=alt.Scale(type="symlog", scheme="blues")),
            tooltip=[
                alt.Tooltip(f"{name}:{kind}")
                for name, kind in (("from", "N"), ("to", "N"), ("flows", "Q"), ("bytes", "Q"))
            ],
        )
    )
    return chart


def _altair() -> Any:
    try:
        import altair as found
    except ImportError:
        raise MissingExtra("altair", "plot") from None
    return found


def _over_time(alt: Any, rows: list[dict[str, Any]]) -> Any:
    since = alt.X("from:T", title="time (UTC)", scale=alt.Scale(type="utc"))
    named = [name for name in (rows[0] if rows else ()) if name != "rank"]
    tips = [alt.Tooltip(f"{name}:{'T' if name in ('from', 'until') else 'N'}") for name in named]
    return alt.Chart(alt.Data(values=rows), width=640).mark_bar().encode(x=since, x2="until:T", tooltip=tips)


def _table(flows: Any, names: Sequence[str]) -> pa.Table:
    """The columns of a table that are wanted. Raises: ConfigError."""
    if isinstance(flows, pa.RecordBatch):
        flows = pa.Table.from_batches([flows])
    listed = flows.column_names if isinstance(flows, pa.Table) else list(getattr(flows, "columns", ()))
    lacking = [name for name in names if name not in listed]
    if lacking:
        raise ConfigError(f"cannot draw this table: it has no column {lacking[0]}; give flows as whowas names them")
    table = flows.select(list(names)) if isinstance(flows, pa.Table) else pa.table(flows[list(names)])
    return pa.table({name: _plain(name, table[name]) for name in names})


def _plain(name: str, column: Any) -> Any:
    """A column in one type, whatever a frame made of it."""
    if name == "start_time":
        return column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    if name in MEASURED:
        return column.cast(pa.float64()).fill_null(0)
    if pa.types.is_dictionary(column.type):
        # polars has words in a type that pyarrow cannot take from.
        parts = [pa.DictionaryArray.from_arrays(one.indices, one.dictionary.cast(pa.string())) for one in column.chunks]
        column = pa.chunked_array(parts, pa.dictionary(column.type.index_type, pa.string()))
    return column.cast(pa.string())


def _length(table: pa.Table) -> int:
    """How long a bucket is, so that there are not too many, us."""
    if not table["start_time"].length() or table["start_time"].null_count == table.num_rows:
        return LENGTHS[0]
    found = pc.min_max(table["start_time"]).as_py()
    span = found["max"] - found["min"]
    days = LENGTHS[-1] * max(1, -(-span // (LENGTHS[-1] * BUCKETS)))
    return next((one for one in LENGTHS if span <= one * BUCKETS), days)


def _grouped(table: pa.Table, length: int | None, keys: list[str]) -> Iterator[dict[str, Any]]:
    """Sums of flows and bytes by keys, and by bucket where one has a length."""
    if length is not None:
        table = table.filter(pc.is_valid(table["start_time"]))
        start = pc.multiply(pc.floor(pc.divide(table["start_time"].cast(pa.float64()), float(length))), float(length))
        table = table.append_column("bucket", start.cast(pa.int64()))
        keys = ["bucket", *keys]
    measured = [name for name in MEASURED if name in table.column_names]
    sums = table.group_by(keys).aggregate([([], "count_all"), *((name, "sum") for name in measured)])
    for row in sums.to_pylist():
        row["flows"] = row["count_all"]
        row["bytes"] = int(sum(row[f"{name}_sum"] or 0 for name in measured))
        yield row


def _end(row: dict[str, Any], side: str) -> str:
    """A name with its confidence."""
    told = {name: row[f"{side}_{name}"] for name in NAMED}
    name = told["workload"] or told["service"] or told["kind"] or "no name"
    whole = clean("/".join(part for part in (told["namespace"], name) if part)[: 4 * LONGEST])
    shown = whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 12]}…{whole[-10:]}"
    return f"{shown} ({told['confidence'] or 'unknown'})"


def _rank(sure: str) -> int:
    return CONFIDENCES.index(sure) if sure in CONFIDENCES else len(CONFIDENCES)


def _span(start: int, length: int) -> dict[str, str]:
    return {"from": rfc3339(start), "until": rfc3339(start + length)}
