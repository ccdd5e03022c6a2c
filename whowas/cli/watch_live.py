"""Describes a recording in lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from whowas.cli.terminal import size

if TYPE_CHECKING:
    from whowas.recorder import Vitals, WatchVitals

UNWELL = ("waiting", "forbidden", "stopped")


class Recording:
    """A whowas.cli.live.Description of a recorder."""

    rate_name = "events_per_second"
    unready_word = "not complete: "

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._ready: bool | None = None

    def total(self, vitals: Vitals) -> int:
        """Observations so far."""
        return vitals.received.total()

    def facts(self, vitals: Vitals, rate: float) -> str:
        """The facts of one moment in a line."""
        lag = vitals.lag_seconds()
        gaps = vitals.gaps()
        return (
            f"{vitals.objects():,} objects  {rate:,.1f} events/s  lag {'-' if lag is None else f'{lag:.1f} s'}  "
            f"{gaps:,} gap{'' if gaps == 1 else 's'}  store {size(vitals.store.bytes)}"
        )

    def unwell(self, vitals: Vitals) -> Iterable[str]:
        """Yield what is wrong with watches, the topic and the store."""
        yield from _together(one for one in vitals.streams if one.state in UNWELL)
        if vitals.topic and vitals.topic.warning:
            yield vitals.topic.warning
        if vitals.store.reason:
            yield f"store {vitals.store.state}: {vitals.store.reason}"

    def news(self, vitals: Vitals) -> list[str] | None:
        """Say which states are new. A watch that opens its stream again is no news before it fails at it."""
        found = []
        for one in vitals.streams:
            settled = one.state not in ("starting", "listing")
            if settled and self._states.get(one.name()) != one.state:
                self._states[one.name()] = one.state
                found.append(one)
        told = _together(found)
        store = vitals.store
        if self._states.get("store", "writing") != store.state:
            told.append(f"store {store.state}" + (f": {store.reason}" if store.reason else ""))
        self._states["store"] = store.state
        told += self._topic(vitals)
        reasons = vitals.unready()
        if self._ready is not (not reasons):
            told.append("not complete: " + "; ".join(reasons) if reasons else "everything is recorded")
        self._ready = not reasons
        return told or None

    def _topic(self, vitals: Vitals) -> list[str]:
        """Say what is new of the topic: that it is filled, what will lose history. What fails is among the reasons."""
        topic, told = vitals.topic, []
        if topic is None:
            return []
        if topic.state == "publishing" and self._states.get("topic") != "publishing":
            told.append(f"topic {topic.topic} is filled")
        self._states["topic"] = topic.state
        if topic.warning and self._states.get("warning") != topic.warning:
            told.append(topic.warning)
        self._states["warning"] = topic.warning
        return told


def _together(streams: Iterable[WatchVitals]) -> list[str]:
    """A line for the watches of a cluster that are in one state."""
    groups: dict[tuple[str, str], list[WatchVitals]] = {}
    for one in streams:
        groups.setdefault((one.cluster, one.state), []).append(one)
    return [_words(*group, those) for group, those in groups.items()]


def _words(cluster: str, state: str, streams: list[WatchVitals]) -> str:
    if state == "watching":
        return f"{cluster} watching: {', '.join(f'{one.kind} {one.objects or 0:,}' for one in streams)}"
    why = next((f": {one.last_error}" for one in streams if one.last_error), "")
    return f"{cluster} {state}: {', '.join(one.kind for one in streams)}{why}"
