"""Reports failing steps until they succeed, and retries them with backoff."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from whowas.backoff import Backoff
from whowas.errors import OutputError
from whowas.kafka import BrokerError

FIRST_SECONDS, MOST_SECONDS = 0.25, 10.0


class Retries:
    """By step: why it failed last, and when it may be tried again. `failures` counts."""

    def __init__(self) -> None:
        self.failures = 0
        self._now: dict[str, str] = {}
        self._pauses: dict[str, Backoff] = {}
        self._not_before: dict[str, float] = {}

    @contextmanager
    def attempt(self, step: str) -> Iterator[None]:
        """Keep a failure that may pass; what cannot pass is raised. Success ends the step's trouble."""
        try:
            yield
        except (BrokerError, OutputError) as error:
            if isinstance(error, BrokerError) and not error.passing:
                raise
            self.failures += 1
            self._now[step] = str(error)
            pauses = self._pauses.setdefault(step, Backoff(FIRST_SECONDS, MOST_SECONDS, steady=1.0))
            self._not_before[step] = time.monotonic() + pauses.pause()
        else:
            self._now.pop(step, None)
            self._forget(step)

    def allowed(self, step: str) -> bool:
        """Return whether a step may be tried now."""
        return time.monotonic() >= self._not_before.get(step, 0.0)

    def hurry(self) -> None:
        """Let every step be tried now: who is to stop has no time to wait."""
        self._pauses.clear()
        self._not_before.clear()

    def _forget(self, step: str) -> None:
        self._pauses.pop(step, None)
        self._not_before.pop(step, None)

    def first(self) -> tuple[str, str] | None:
        """Return a step that fails and why; None where all is well."""
        return next(iter(list(self._now.items())), None)
