"""The results of bench/streams.py as Markdown."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Column = tuple[str, str, str]  # title, key, format

SPEED: tuple[Column, ...] = (
    ("records", "what", ""),
    ("bytes", "bytes", ",.0f"),
    ("with", "with", ""),
    ("how many", "records", ",d"),
    ("flows a core-second", "flows_a_core_second", ",.0f"),
    ("goal", "goal", ",d"),
    ("start counted too", "with_start", ",.0f"),
    ("start, CPU s", "start_cpu_seconds", ".1f"),
    ("flows/s by the clock", "flows_a_second", ",.0f"),
    ("peak MB", "peak_mb", ",.0f"),
    ("load", "load", ".0f"),
)
FILES = (*SPEED[:8], SPEED[-1])
PEER = (
    *(one for one in SPEED if one[1] != "goal"),
    ("times the peer", "times_the_peer", ".1f"),
    ("goal", "times_goal", "g"),
)
TABLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "speed": ("From the broker to named Parquet, one worker", SPEED),
    "peer": ("Beside flowlogs-pipeline on one topic, in turns", PEER),
    "files": ("From files to named Parquet", FILES),
    "latency": (
        'Seconds at 10,000 flows/s, `wait = "never"`, `flush_seconds = 0.25`, from sending a record to its flow in',
        (
            ("flow in", "where", ""),
            ("with", "with", ""),
            ("flows", "flows", ",d"),
            ("p50", "p50", ".2f"),
            ("p99", "p99", ".2f"),
            ("goal", "goal", ""),
            ("most", "most", ".2f"),
        ),
    ),
    "workers": (
        "Two workers against one, flows a second by the clock",
        (
            ("with", "with", ""),
            ("cores", "cores", "d"),
            ("one", "one", ",.0f"),
            ("two", "two", ",.0f"),
            ("times", "times", ".2f"),
            ("goal", "goal", "g"),
        ),
    ),
    "memory": (
        "Resident MB of a worker on its way through the lag",
        (
            ("with", "with", ""),
            ("records", "records", ",d"),
            ("after a tenth", "mark_0", ",.0f"),
            ("after half", "mark_1", ",.0f"),
            ("at the end", "mark_2", ",.0f"),
            ("peak of the first tenth", "peak_of_first_tenth_mb", ",.0f"),
            ("peak", "peak_mb", ",.0f"),
            ("peak, times that of the first tenth", "growth", ".2f"),
        ),
    ),
}


def markdown(results: Row) -> str:
    """Return all sections as text."""
    host = results["machine"]
    lines = [
        f"{results['at'][:10]}, {host['cores']} cores ({host['processor']}). Beside each title stands the load when it "
        "began: what else ran took from the caches, and from the clock.",
        "",
    ]
    for name, rows in results["sections"].items():
        title, columns = TABLES[name]
        lines += [f"**{title}** (load {results['loads'][name]:.1f})", ""]
        if isinstance(rows, dict):
            lines += [f"Failed: {rows['failed'].splitlines()[0]}", ""]
        else:
            lines += [*_table(rows, columns), ""]
    if left := [name for name in TABLES if name not in results["sections"]]:
        lines += [f"Not measured in these runs: {', '.join(left)}.", ""]
    return "\n".join(lines)


def _table(rows: list[Row], columns: tuple[Column, ...]) -> list[str]:
    flat = [{**row, **{f"mark_{place}": one for place, one in enumerate(row.get("marks", ()))}} for row in rows]
    found = ["| " + " | ".join(title for title, _, _ in columns) + " |", "|" + "---|" * len(columns)]
    for row in flat:
        if "missing" in row:
            continue
        found.append("| " + " | ".join(_cell(row, key, form) for _, key, form in columns) + " |")
    found += ["", *(f"{row['with']} was not measured: {row['missing']}." for row in rows if "missing" in row)]
    return found


def _cell(row: Row, key: str, form: str) -> str:
    value = row.get(key)
    return "" if value is None else format(value, form)
