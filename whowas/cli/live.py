"""Shows a command that runs until it is stopped: one live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Protocol, Self

from whowas.cli.terminal import clean, console, echo, is_quiet, print_json, wants_progress

LINE_EVERY_SECONDS = 60.0
RATE_OVER_SECONDS = 5.0


class Description(Protocol):
    """How one command is described. vitals: the state of now, as that command has it."""

    rate_name: str  # in JSON
    unready_word: str  # before the reasons why it is not ready

    def total(self, vitals: Any) -> int:
        """Return the count whose rate is shown."""

    def facts(self, vitals: Any, rate: float) -> str:
        """Return the facts of one moment in a line."""

    def news(self, vitals: Any) -> list[str] | None:
        """Return lines that say what changed since the last call; none where the facts say it; None: nothing did."""

    def unwell(self, vitals: Any) -> Iterable[str]:
        """Yield lines below the facts, for a person at a terminal."""


class Rate:
    """How much a second, over the last seconds."""

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


class Lines:
    """A line at each change, and one a minute: text on standard error, or JSON on standard output.

    With -q there is text only while something is not well.
    """

    def __init__(self, about: Description, as_json: bool) -> None:
        self._about = about
        self._as_json = as_json
        self._said = 0.0
        self._rate = Rate()
        self._quiet = is_quiet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is held."""

    def show(self, vitals: Any, last: bool = False) -> None:
        """Take the state of now, print what is news. `last`: what ends now is no news."""
        rate = self._rate.of(self._about.total(vitals))
        news = None if last else self._about.news(vitals)
        apart = [] if self._as_json or self._quiet else news or []
        for line in apart:
            log(line)
        changed = news is not None
        if last or time.monotonic() - self._said >= LINE_EVERY_SECONDS or (changed and not apart):
            self._said = time.monotonic()
            self._print(vitals, rate, "end" if last else "change" if changed else "minute")

    def _print(self, vitals: Any, rate: float, why: str) -> None:
        if self._as_json:
            told = {"line": why, self._about.rate_name: round(rate, 1), **vitals.to_json()}
            print_json(told, line=True)
        elif why != "end":
            reasons = "; ".join(vitals.unready())
            if self._quiet and not reasons:
                return
            log(self._about.facts(vitals, rate) + (f"  {self._about.unready_word}{reasons}" if reasons else ""))


class LiveLine:
    """One line that is drawn over itself, for a person at a terminal; below it what is not well."""

    def __init__(self, about: Description) -> None:
        from rich.live import Live

        self._about = about
        self._rate = Rate()
        self._live = Live(console=console(err=True), auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, vitals: Any, last: bool = False) -> None:
        """Draw the state of now. The last one is not drawn: what ends now is not unwell."""
        if last:
            return
        from rich.text import Text

        facts = self._about.facts(vitals, self._rate.of(self._about.total(vitals)))
        line = Text("● ", style="red" if vitals.unready() else "green").append(facts, style="default")
        for text in self._about.unwell(vitals):
            line.append(f"\n  {clean(text)}", style="yellow")
        self._live.update(line, refresh=True)


def shown(about: Description, as_json: bool) -> Lines | LiveLine:
    """Return how a command is shown where it runs."""
    return LiveLine(about) if wants_progress(False, as_json) else Lines(about, as_json)


def log(text: str) -> None:
    """Say a line with its time on standard error."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    echo(f"{moment} {text}", err=True)
