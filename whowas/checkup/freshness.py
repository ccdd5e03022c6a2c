"""How far a history and named flows go: what lies behind now by how much."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from sinks.files.run_journal import DELTA_LOG
from whowas.checkup.finding import FAIL, OK, WARN, Finding, age
from whowas.errors import InputError
from whowas.safe_text import size
from whowas.timestamps import spell

# A recorder hears of the nodes' heartbeats; a history that ends longer ago is not being recorded.
LATE_US = 5 * 60 * 1_000_000
FLOWS_LATE_US = 3_600 * 1_000_000
# Of the newest hour so many files are opened, and so many are counted at all.
OPENED, COUNTED = 50, 1_000_000
PARTITION = re.compile(r"event_day=(\d+)(?:.*event_hour=(\d{1,2}))?")


def history(paths: Sequence[str]) -> Iterator[Finding]:
    """Say how far each cluster of a store is known. Raises: StoreError, InputError."""
    from whowas.history.queries import the_store

    store = the_store(list(paths))
    if store is None:
        yield _evidence(paths)
        return
    from enrich.store.info import facts

    for one in facts(store).clusters:
        last = max((high for _, _, high in one.watched), default=0)
        if not last:
            yield Finding("fresh", f"history {one.name}", FAIL, f"'{store}': nothing was watched", "whowas watch")
            continue
        begun = min(low for _, low, _ in one.watched)
        told = f"'{store}': from {spell(begun, digits=0)} to {spell(last, digits=0)}, {age(last)}"
        told += f"; {len(one.gaps):,} gaps" if one.gaps else ""
        late = time.time_ns() // 1000 - last > LATE_US
        advice = f"is it recorded? whowas watch --history {store}" if late else ""
        yield Finding("fresh", f"history {one.name}", WARN if late else OK, told, advice)


def _evidence(paths: Sequence[str]) -> Finding:
    """Say whether files hold evidence, by the first that there is in them."""
    from ingest.cluster import EvidenceReport, in_order, read_observations
    from ingest.files import find_inputs
    from whowas.history.queries import WHAT_IS_ONE, why_none

    files = in_order(find_inputs(list(paths)))
    report = EvidenceReport()
    # Each file begins with a mark of its own.
    if not any(one.verb != "START" for one in read_observations(files, None, report)):
        bad = next((one for one in report.files if one.unreadable), None)
        why = f"'{bad.path}': {why_none(bad)}" if bad is not None else f"there is no evidence in {', '.join(paths)}"
        return Finding("fresh", "history", FAIL, why, WHAT_IS_ONE)
    total = sum(os.path.getsize(one) for one in files if os.path.isfile(one))
    return Finding("fresh", "history", OK, f"evidence in {len(files):,} files, {size(total)}; they are not followed")


def flows(folder: str, *, told: bool) -> Iterator[Finding]:
    """Say when the newest named flow began. told: a person named the folder. Raises: InputError."""
    if not os.path.isdir(folder):
        if not told:
            yield Finding("fresh", "flows", OK, f"'{folder}' is not there yet: nothing was written")
            return
        raise InputError(f"cannot read flows '{folder}': no such folder; name what 'whowas replay --out' wrote")
    newest, count = _newest(folder)
    if not count:
        yield Finding("fresh", "flows", WARN, f"'{folder}' holds no Parquet file", "is anything written to it?")
        return
    last, broken = _last_start(newest)
    for path, why in broken:
        yield Finding("fresh", "flows", WARN, f"'{path}' cannot be read: {why}", "whowas compact, or remove it")
    if last:
        seen = f"'{folder}': newest flow began {spell(last, digits=0)}, {age(last)}; {count:,} files"
        late = time.time_ns() // 1000 - last > FLOWS_LATE_US
        yield Finding("fresh", "flows", WARN if late else OK, seen, "does anything come in?" if late else "")


def _newest(folder: str) -> tuple[list[str], int]:
    """The files of the newest hour, and how many there are in all."""
    best: tuple[int, int] = (-1, -1)
    files: list[str] = []
    count = 0
    for where, below, names in os.walk(folder):
        # What is being written or taken away is nobody's yet, and a table's log holds no flows.
        below[:] = [one for one in below if not one.startswith(".") and one != DELTA_LOG]
        own = [os.path.join(where, one) for one in names if one.endswith(".parquet") and not one.startswith(".")]
        count += len(own)
        found = PARTITION.search(where)
        key = (int(found[1]), int(found[2] or 0)) if found else (-1, 0)
        if own and key >= best:
            files = own if key > best else [*files, *own]
            best = key
        if count > COUNTED:
            break
    return files, count


def _last_start(files: Sequence[str]) -> tuple[int, list[tuple[str, str]]]:
    """The newest start by the files' own statistics, and the files that cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    last, broken = 0, []
    for path in sorted(files)[-OPENED:]:
        try:
            last = max(last, _newest_in(parquet.ParquetFile(path).metadata))
        except (pa.ArrowException, OSError) as error:
            broken.append((path, str(error).split("\n")[0]))
    return last, broken


def _newest_in(told: Any) -> int:
    name = [told.row_group(0).column(one).path_in_schema for one in range(told.num_columns)].index("start_time") if (
        told.num_row_groups and "start_time" in told.schema.names
    ) else -1  # fmt: skip
    if name < 0:
        return 0
    found = [told.row_group(one).column(name).statistics for one in range(told.num_row_groups)]
    moments = [one.max for one in found if one is not None and one.has_min_max]
    return max((int(one.timestamp() * 1e6) for one in moments), default=0)
