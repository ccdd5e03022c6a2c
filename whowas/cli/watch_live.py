"""Shows a recording: one live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from whowas.cli.terminal import clean, console, size

if TYPE_CHECKING:
    from whowas.recorder import Vitals, WatchVitals

LINE_EVERY_SECONDS = 60.0
RATE_OVER_SECONDS = 5.0
UNWELL = ("waiting", "forbidden", "stopped")


class Rate:
    """Observations a second, over the last seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def of(self, total: int) -> float:
        """Take the count of now, return the rate since some seconds ago."""
        now = time.monotonic()
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_OVER_SECONDS:
            self._seen.pop(0)
        took = now - self._seen[0][0]
        return (total - self._seen[0][1]) / took if took > 0 else 0.0


def words(vitals: Vitals, rate: float) -> str:
    """The facts of one moment in a line."""
    lag = vitals.lag_seconds()
    gaps = vitals.gaps()
    return (
        f"{vitals.objects():,} objects  {rate:,.1f} events/s  lag {'-' if lag is None else f'{lag:.1f} s'}  "
        f"{gaps:,} gap{'' if gaps == 1 else 's'}  store {size(vitals.store.bytes)}"
    )


class Lines:
    """A line at each change of a state, and one a minute: text on standard error, or JSON on standard output."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._states: dict[str, str] = {}
        self._ready: bool | None = None
        self._said = 0.0
        self._rate = Rate()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is held."""

    def show(self, vitals: Vitals, last: bool = False) -> None:
        """Take the state of now, print what is news. `last`: what ends now is no news."""
        rate = self._rate.of(vitals.received.total())
        changed = [] if last else self._changed(vitals)
        if not self._as_json:
            for line in changed:
                log(line)
        if last or time.monotonic() - self._said >= LINE_EVERY_SECONDS or (changed and self._as_json):
            self._said = time.monotonic()
            self._print(vitals, rate, "end" if last else "change" if changed else "minute")

    def _print(self, vitals: Vitals, rate: float, why: str) -> None:
        if self._as_json:
            import json

            told: dict[str, Any] = {"line": why, "events_per_second": round(rate, 1), **vitals.to_json()}
            click.echo(json.dumps(told, ensure_ascii=False))
        elif why != "end":
            reasons = "; ".join(vitals.unready())
            log(words(vitals, rate) + (f"  not complete: {reasons}" if reasons else ""))

    def _changed(self, vitals: Vitals) -> list[str]:
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
        return told

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


def _warned(vitals: Vitals) -> str:
    return vitals.topic.warning if vitals.topic else ""


def _together(streams: Iterable[WatchVitals]) -> list[str]:
    """A line for the watches of a cluster that are in one state."""
    groups: dict[tuple[str, str], list[WatchVitals]] = {}
    for one in streams:
        groups.setdefault((one.cluster, one.state), []).append(one)
    return [_words(*group, those) for group, those in groups.items()]


def _words(cluster: str, state: str, streams: list[WatchVitals]) -> str:
    if state == "watching":
        return f"{cluster} watching: {', '.join(f'{one.kind} {one.objects or 0:,}' for one in streams)}"
    why = next((one.last_error for one in streams if one.last_error), "no reason known")
    return f"{cluster} {state}: {', '.join(one.kind for one in streams)}: {why}"


def log(text: str) -> None:
    """Say a line with its time on standard error."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    click.echo(f"{moment} {clean(text)}", err=True)


class Drawn:
    """One line that is drawn over itself, for a person at a terminal; below it what is not well."""

    def __init__(self) -> None:
        from rich.live import Live

        self._rate = Rate()
        self._live = Live(console=console(err=True), auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def draw(self, facts: str, well: bool, below: Iterable[str]) -> None:
        """Draw the facts of now, and lines below them."""
        from rich.text import Text

        line = Text("● ", style="green" if well else "red").append(facts, style="default")
        for text in below:
            line.append(f"\n  {clean(text)}", style="yellow")
        self._live.update(line, refresh=True)


class LiveLine(Drawn):
    """How a recording is drawn."""

    def show(self, vitals: Vitals, last: bool = False) -> None:
        """Draw the state of now. The last one is not drawn: what ends now is not unwell."""
        if last:
            return
        below = _together(one for one in vitals.streams if one.state in UNWELL)
        below += [_warned(vitals)] if _warned(vitals) else []
        if vitals.store.reason:
            below.append(f"store {vitals.store.state}: {vitals.store.reason}")
        self.draw(words(vitals, self._rate.of(vitals.received.total())), not vitals.unready(), below)
