"""One self-contained file for a ticket: what flows were there, who it was, how sure that is, and what nobody saw.

All of it is static markup, made of the answers to the page's questions: it reads without script, network or whowas.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sinks.files.durable import durable
from whowas.errors import ConfigError
from whowas.workbench.database import Call
from whowas.workbench.report import document, pdf
from whowas.workbench.report.gather import Gathered, Wish, gather
from whowas.workbench.workbench import Workbench

FLOW_SECONDS = 600.0


class Sources(NamedTuple):
    """flows: folder. history: a store or evidence, may be empty. findings: file or folder. cache: for roll-ups."""

    flows: str
    cache: Path
    history: Sequence[str] = ()
    findings: str | None = None


def made_us() -> int:
    """When a report is made, us: now, or SOURCE_DATE_EPOCH, so that it can be made again. Raises: ConfigError."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if not told:
        return time.time_ns() // 1_000_000_000 * 1_000_000
    if not told.isdecimal() or len(told) > 12:
        raise ConfigError(f"cannot use SOURCE_DATE_EPOCH '{told[:40]}': it is no number of seconds since 1970")
    return int(told) * 1_000_000


def report(sources: Sources, wish: Wish) -> tuple[str, Gathered]:
    """Return the file as text, and what is in it. Raises: InputError, ConfigError, OutputError."""
    moment = made_us()
    bench = Workbench(*sources, flow_seconds=FLOW_SECONDS)
    try:
        made = gather(bench, wish)
    finally:
        bench.close()
    return document.write(made, moment, bench.places), made


def of_bench(bench: Workbench, wish: Wish, call: Call) -> str:
    """The file as text, of what is served. Raises: InputError, ConfigError, CancelledError."""
    return document.write(gather(bench, wish, call), made_us(), bench.places)


def write(page: str, out: Path) -> None:
    """Write a page; it is there whole or not at all. Raises: OutputError."""
    with durable(out) as handle:
        handle.write(page.encode())


__all__ = ["Sources", "Wish", "of_bench", "pdf", "report", "write"]
