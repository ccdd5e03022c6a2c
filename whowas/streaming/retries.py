"""Reports failing steps until they succeed, and retries them with backoff."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from whowas.errors import OutputError
from whowas.kafka import BrokerError

FIRST_SECONDS, MOST_SECONDS = 0.25, 10.0


class Retries:
    """By step: why it failed last, and when it may be tried again. `failures` counts."""

    def __init__(self) -> None:
        self.failures = 0
        self._now: dict[str, str] = {}
        self._waits: dict[str, tuple[float, float]] = {}

    @contextmanager
    def trying(self, step: str) -> Iterator[None]:
        """Keep a failure that may pass; what cannot pass is raised. Success ends the step's trouble."""
        try:
            yield
        except (BrokerError, OutputError) as error:
            if isinstance(error, BrokerError) and not error.passing:
                raise
            self.failures += 1
            self._now[step] = str(error)
            wait = self._waits.get(step, (0.0, FIRST_SECONDS / 2))[1] * 2
            self._waits[step] = (time.monotonic() + wait, min(wait, MOST_SECONDS / 2))
        else:
            self._now.pop(step, None)
            self._waits.pop(step, None)

    def may(self, step: str) -> bool:
        """Return whether a step may be tried now."""
        return time.monotonic() >= self._waits.get(step, (0.0, 0.0))[0]

    def hurry(self) -> None:
        """Let every step be tried now: who is to stop has no time to wait."""
        self._waits.clear()

    def first(self) -> tuple[str, str] | None:
        """Return a step that fails and why; None where all is well."""
        return next(iter(list(self._now.items())), None)
