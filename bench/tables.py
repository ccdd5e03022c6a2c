"""Results as tables for people."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Column = tuple[str, str, str]  # title, key, format

TITLES = {
    "speed": "Speed on one core, whole programs (whowas = 1; its history is read before and shown apart)",
    "memory": "Peak memory",
    "start": "Start, when all is compiled",
    "history": "Reading the history",
    "gzip": "A gzip capture",
    "growth": "Growth",
    "first_run": "First run, packages read-only",
    "store": "A watch's lines to the durable store, a core",
    "list": "A list of pods from a real apiserver, and the recorder's memory",
    "million": "A store of very many holds",
    "week": "A week of churn",
}
COLUMNS: dict[str, tuple[Column, ...]] = {
    "speed": (
        ("program", "program", ""),
        ("packets", "packets", ",d"),
        ("packets/s", "packets_per_second", ",.0f"),
        ("whowas is faster by", "whowas_is_faster_by", ".2f"),
        ("packets/cpu s", "packets_per_cpu_second", ",.0f"),
        ("history s", "history_seconds", ".2f"),
        ("peak MB", "peak_mb", ",.0f"),
        ("gives", "does", ""),
    ),
    "memory": (
        ("times as long", "times", "d"),
        ("history", "history", ""),
        ("packets", "packets", ",d"),
        ("flows", "rows", ",d"),
        ("packets/s", "packets_per_second", ",.0f"),
        ("peak MB", "peak_mb", ",.0f"),
    ),
    "start": (("command", "command", ""), ("s", "wall", ".2f"), ("peak MB", "peak_mb", ",.0f")),
    "history": (
        ("pods", "pods", ",d"),
        ("lines a pod", "lines_a_pod", "d"),
        ("MB", "megabytes", ",.0f"),
        ("s", "seconds", ".2f"),
        ("lines/s", "lines_per_second", ",.0f"),
        ("peak MB", "peak_mb", ",.0f"),
    ),
    "gzip": (("what", "what", ""), ("s", "wall", ".2f"), ("cpu s", "cpu", ".2f")),
    "growth": (
        ("grows", "grows", ""),
        ("packets", "packets", ",d"),
        ("conversations", "conversations", ",d"),
        ("holds", "holds", ",d"),
        ("flows s", "flows_seconds", ".2f"),
        ("history s", "history_seconds", ".2f"),
        ("peak MB", "peak_mb", ",.0f"),
    ),
    "store": (
        ("program", "program", ""),
        ("pods", "pods", ""),
        ("events", "events", ",d"),
        ("bytes a line", "line_bytes", ",.0f"),
        ("events/cpu s", "events_a_core_second", ",.0f"),
        ("packed too", "with_packing", ",.0f"),
        ("slowest write s", "slowest_write_seconds", ".2f"),
        ("bytes an event", "bytes_an_event", ",.0f"),
        ("peak MB", "peak_mb", ",.0f"),
    ),
    "list": (
        ("program", "program", ""),
        ("pods", "pods", ",d"),
        ("s", "wall", ".2f"),
        ("cpu s", "cpu", ".2f"),
        ("cpu of the raw client's", "of_raw", ".2f"),
        ("peak MB", "peak_mb", ",.0f"),
    ),
    "million": (
        ("holds", "holds", ",d"),
        ("store MB", "store_mb", ",.0f"),
        ("load s", "load_seconds", ".2f"),
        ("cpu s", "load_cpu_seconds", ".2f"),
        ("bytes a hold", "bytes_a_hold", ",.0f"),
        ("its arrays", "own_bytes_a_hold", ",.0f"),
        ("followed", "followed_bytes_a_hold", ",.0f"),
        ("mapped s", "mapped_seconds", ".2f"),
        ("cpu s", "mapped_cpu_seconds", ".2f"),
        ("B/hold", "mapped_bytes_a_hold", ",.0f"),
        ("lookups/cpu s", "lookups_a_core_second", ",.0f"),
        ("searchsorted/cpu s", "searchsorted_a_core_second", ",.0f"),
        ("who s", "who_wall", ".2f"),
        ("cpu s", "who_cpu", ".2f"),
    ),
    "week": (
        ("day", "day", "d"),
        ("events", "events", ",d"),
        ("store MB", "store_mb", ",.1f"),
        ("memory MB", "memory_mb", ",.0f"),
        ("who s", "who_wall", ".2f"),
        ("cpu s", "who_cpu", ".2f"),
        ("fed in cpu s", "cpu", ",.0f"),
    ),
    "first_run": (("what", "what", ""), ("s", "wall", ".1f"), ("says", "says", ""), ("rights", "rights", "")),
}


def show(section: str, rows: Any) -> None:
    """Print a section."""
    print(f"\n{TITLES[section]}")
    if isinstance(rows, dict):
        print(f"  failed: {rows['failed']}")
        return
    columns = COLUMNS[section]
    cells = [[title for title, _, _ in columns]]
    cells += [[_cell(row, key, form) for _, key, form in columns] for row in rows if not row.get("missing")]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        print(
            "  "
            + "  ".join(
                _fit(cell, width, columns[n][2]) for n, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    for row in rows:
        if row.get("missing"):
            print(f"  {row['program']} was not measured: {row['missing']}")
        elif row.get("sliced"):
            print(f"  {row['program']} was given the first {row['packets']:,} packets only")


def _cell(row: Row, key: str, form: str) -> str:
    value = row.get(key)
    return "" if value is None else format(value, form)


def _fit(cell: str, width: int, form: str) -> str:
    return cell.rjust(width) if form else cell.ljust(width)
