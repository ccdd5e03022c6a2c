"""Delivers alerts over HTTP at least once, with retries and a limit.

- 2xx: taken.
- No answer, 408, 425, 429, 502, 503, 504: nobody there, or too much at once. Tried again for as long as it takes.
- 3xx, 401, 403, 404, 405, 407: the address or the secret is wrong, not the alert. Tried again for as long as it takes:
  somebody may put it right, and the secret is read anew.
- Other 4xx: the alert is refused. Of several in one request each is sent by itself, to find out which. Kept at once.
- Other 5xx: the place stumbles, perhaps over this alert. Tried ATTEMPTS times, then kept.

Pauses between tries grow from half a second to a minute, or are as long as Retry-After says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Answer, Post
from whowas.backoff import Backoff
from whowas.errors import OutputError
from whowas.stages import Alert

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
ATTEMPTS = 10
# So many wait here at most; who sends more has not asked whether the others arrived.
MOST_WAITING = 5_000
# Bytes of a request that holds several alerts.
MOST_BYTES = 1 << 20
NOBODY = frozenset([0, 408, 425, 429, 502, 503, 504])
WRONG_PLACE = frozenset([401, 403, 404, 405, 407])

Encode = Callable[[Sequence[Alert]], bytes]


class PostedAlerts:
    """Posts alerts that wait, `together` at most in a request. encode: makes the body of a request."""

    def __init__(self, post: Post, encode: Encode, refused: RefusedAlerts, together: int = 1) -> None:
        self.trouble = ""
        self._post = post
        self._encode = encode
        self._refused = refused
        self._together = together
        self._waiting: dict[str, Alert] = {}
        self._alone: set[str] = set()
        self._tries: dict[str, int] = {}
        # Half of a pause by chance, so that many who were cut off together do not come back together.
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, steady=0.5)
        self._not_before = 0.0

    @property
    def refused(self) -> int:
        """How many were given up and kept."""
        return self._refused.count

    def check(self) -> None:
        """Refuse addresses, secrets, certificates and files that cannot be used. Raises: ConfigError, OutputError."""
        self._post.check()
        self._refused.check()

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take alerts; one of the same key that still waits is replaced. Raises: OutputError when too many wait."""
        for one in alerts:
            if len(self._waiting) >= MOST_WAITING and one.key not in self._waiting:
                raise OutputError(f"cannot send to '{self._post.name}': {MOST_WAITING:,} alerts wait; {self.trouble}")
            self._waiting[one.key] = one

    def flush(self, seconds: float) -> bool:
        """Post what waits, until the time is over. Raises: OutputError when the dead letters cannot be written."""
        end = time.monotonic() + seconds
        try:
            while self._waiting:
                pause = self._not_before - time.monotonic()
                left = end - time.monotonic()
                if left <= 0 or pause > left:
                    time.sleep(max(0.0, left))
                    return False
                time.sleep(max(0.0, pause))
                self._post_next()
        finally:
            self._post.close()
        return True

    def close(self) -> None:
        """Give back what is held; what waits is forgotten here."""
        self._waiting.clear()
        self._post.close()
        self._refused.close()

    def _post_next(self) -> None:
        batch = self._next()
        answer = self._post.send(self._encode(batch))
        if 200 <= answer.status < 300:
            self._done(batch)
        elif answer.status in NOBODY or answer.status in WRONG_PLACE or answer.status < 400:
            self._pause(answer)
        elif len(batch) > 1:
            self._alone.update(one.key for one in batch)
        elif answer.status < 500 or self._tries.get(batch[0].key, 0) + 1 >= ATTEMPTS:
            self._refused.keep(batch[0], f"HTTP {answer.status} {answer.told}".rstrip())
            self._done(batch)
        else:
            self._later(batch[0])
            self._pause(answer)

    def _next(self) -> list[Alert]:
        """The next request: one that goes by itself, or several that fit."""
        batch: list[Alert] = []
        length = 0
        for key, one in self._waiting.items():
            if key in self._alone:
                if not batch:
                    return [one]
                continue
            length += len(one.data())
            if batch and (len(batch) >= self._together or length > MOST_BYTES):
                break
            batch.append(one)
        return batch

    def _done(self, batch: list[Alert]) -> None:
        for one in batch:
            del self._waiting[one.key]
            self._alone.discard(one.key)
            self._tries.pop(one.key, None)
        self._backoff.healthy()
        self._not_before, self.trouble = 0.0, ""

    def _later(self, one: Alert) -> None:
        """Behind all others: what the place stumbles over must not hold them up."""
        self._tries[one.key] = self._tries.get(one.key, 0) + 1
        self._waiting[one.key] = self._waiting.pop(one.key)

    def _pause(self, answer: Answer) -> None:
        grown = self._backoff.pause()
        self._not_before = time.monotonic() + (grown if answer.wait is None else answer.wait)
        what = answer.told if answer.status == 0 else f"HTTP {answer.status} {answer.told}".rstrip()
        hint = "see its address and its secrets" if answer.status in WRONG_PLACE or 300 <= answer.status < 400 else ""
        self.trouble = f"cannot post alerts to '{self._post.name}': {what}; {hint or 'it is tried again'}"
