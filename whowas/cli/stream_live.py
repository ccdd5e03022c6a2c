"""Shows a stream: one live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

from whowas.cli.watch_live import LINE_EVERY_SECONDS, Drawn, Rate, log

if TYPE_CHECKING:
    from whowas.streaming import StreamVitals


def words(vitals: StreamVitals, rate: float) -> str:
    """The facts of one moment in a line."""
    lag, behind, refused = vitals.lag(), vitals.behind_seconds(), vitals.counts.refused.total()
    return (
        f"{vitals.state}  {rate:,.0f} records/s  {vitals.counts.delivered.total():,} delivered  "
        f"{vitals.held:,} held  lag {'-' if lag is None else f'{lag:,}'}  "
        f"history {'-' if behind is None else f'{behind:,.0f} s behind'}"
        + (f"  {refused:,} refused" if refused else "")
        + (f"  {len(vitals.unread):,} files not read" if vitals.unread else "")
    )


class Lines:
    """A line at each change of state, and one a minute: text on standard error, or JSON on standard output."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._before: object = None
        self._said = 0.0
        self._rate = Rate()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is held."""

    def show(self, vitals: StreamVitals, last: bool = False) -> None:
        """Take the state of now, print what is news."""
        rate = self._rate.of(vitals.counts.received.total())
        now = (vitals.state, vitals.reason, tuple(vitals.unready()), vitals.counts.reloads, len(vitals.unread))
        changed = now != self._before and not last
        self._before = now
        if not (last or changed or time.monotonic() - self._said >= LINE_EVERY_SECONDS):
            return
        self._said = time.monotonic()
        if self._as_json:
            why = "end" if last else "change" if changed else "minute"
            told = {"line": why, "records_per_second": round(rate, 1), **vitals.to_json()}
            click.echo(json.dumps(told, ensure_ascii=False))
        elif not last:
            reasons = "; ".join(vitals.unready())
            log(words(vitals, rate) + (f"  {reasons}" if reasons else ""))


class LiveLine(Drawn):
    """How a stream is drawn."""

    def show(self, vitals: StreamVitals, last: bool = False) -> None:
        """Draw the state of now, but the last."""
        if not last:
            reasons = vitals.unready()
            self.draw(words(vitals, self._rate.of(vitals.counts.received.total())), not reasons, reasons)
