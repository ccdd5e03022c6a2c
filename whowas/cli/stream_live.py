"""Describes a stream in lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from whowas.cli.terminal import plural, span

if TYPE_CHECKING:
    from whowas.streaming import StreamVitals


class Streaming:
    """A whowas.cli.live.Description of a worker."""

    rate_name = "records_per_second"
    unready_word = ""

    def __init__(self) -> None:
        self._before: object = None

    def total(self, vitals: StreamVitals) -> int:
        """Records so far."""
        return vitals.counts.received.total()

    def facts(self, vitals: StreamVitals, rate: float) -> str:
        """The facts of one moment in a line."""
        lag, behind, refused = vitals.lag(), vitals.behind_seconds(), vitals.counts.refused.total()
        return (
            f"{vitals.state}  {rate:,.0f} records/s  {vitals.counts.delivered.total():,} delivered  "
            f"{vitals.held:,} held  lag {f'{lag:,}' if lag is not None and vitals.partitions else '-'}  "
            f"history {'-' if behind is None else f'{span(behind)} behind'}"
            + (f"  {refused:,} refused" if refused else "")
            + (f"  {plural(len(vitals.unread), 'file')} not read" if vitals.unread else "")
        )

    def news(self, vitals: StreamVitals) -> list[str] | None:
        """Say whether the state is another one; the facts say which."""
        now = (vitals.state, vitals.reason, tuple(vitals.unready()), vitals.counts.reloads, len(vitals.unread))
        changed, self._before = now != self._before, now
        return [] if changed else None

    def unwell(self, vitals: StreamVitals) -> Iterable[str]:
        """Return why it is not ready."""
        return vitals.unready()
