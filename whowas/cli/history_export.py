"""Writes what `whowas history export` was asked for, and says what it wrote and what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whowas.cli.terminal import clean, console, plural, print_json, size

if TYPE_CHECKING:
    from enrich.store.salvage import Lost


def exported(
    store: str, out: str, low: int | None, high: int | None, replace: bool, salvaged: bool = False
) -> tuple[int, str]:
    """Write the file. Returns: how many of what it holds."""
    from whowas.history.import_export import export_holds, export_slice

    if out.endswith(".parquet"):
        return export_holds(store, out, replace=replace), "hold"
    return export_slice(store, out, low, high, replace=replace, salvaged=salvaged), "line"


def say_written(out: str, count: int, what: str, lost: Lost | None, as_json: bool) -> None:
    """Say what was written. lost: of a salvage."""
    import os

    from enrich.store.encoding import EARLIEST
    from whowas.timestamps import rfc3339, spell

    if as_json:
        written: dict[str, object] = {"file": out, f"{what}s": count, "bytes": os.path.getsize(out)}
        if lost is not None:
            since = None if lost.since_us is None else rfc3339(lost.since_us)
            written["lost"] = {"rows": lost.rows, "places": lost.places, "watched_until": since}
        print_json(written)
        return
    screen = console(summary=True)
    screen.print(f"wrote {clean(out)}  ({plural(count, what)}, {size(os.path.getsize(out))})")
    if lost is None:
        return
    for place in lost.places:
        screen.print(f"  lost: {clean(place)}")
    counts = ", ".join(f"{name} {count:,}" for name, count in lost.rows.items())
    screen.print(f"lost rows: {counts}" if counts else "nothing is lost")
    if lost.since_us is not None:
        since = "" if lost.since_us == EARLIEST else f" from {spell(lost.since_us, digits=0)} on"
        screen.print(f"nothing counts as watched{since}: what is lost may have said that something ended")
