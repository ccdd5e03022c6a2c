"""What commands that run until they are stopped share: signals, and the page of metrics and probes."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whowas.serving import Page, Server


class Stopping:
    """Set by the handler of a signal, waited for by the very thread that it interrupts.

    threading.Event would not do: inside its `wait` it holds a lock for a moment, for which its `set` waits for ever.
    """

    def __init__(self) -> None:
        self._told = False
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)

    def set(self) -> None:
        """End every wait."""
        self._told = True
        with contextlib.suppress(OSError):
            self._theirs.send(b"\0")

    def is_set(self) -> bool:
        """Say whether somebody has said to stop."""
        return self._told

    def wait(self, seconds: float) -> bool:
        """Wait so long at most. Returns: whether somebody has said to stop."""
        if not self._told:
            select.select([self._ours], [], [], seconds)
        return self._told

    def close(self) -> None:
        """Give the sockets back."""
        self._ours.close()
        self._theirs.close()


@contextlib.contextmanager
def stop_signals(
    stop: Callable[[], object] | None = None, reload: Callable[[], object] | None = None
) -> Iterator[Stopping]:
    """Take Ctrl-C and SIGTERM as the word to stop in order; the second time as the word to stop at once.

    Args: stop: called at the first. reload: called at SIGHUP. Yields: what is set at the first.
    """
    stopping = Stopping()

    def told_to_stop(_signal: int, _frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        if stop is not None:
            stop()
        stopping.set()

    before = {one: signal.signal(one, told_to_stop) for one in (signal.SIGINT, signal.SIGTERM)}
    if reload is not None:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: reload())
    try:
        yield stopping
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        stopping.close()


def vitals_server(
    listen: str, vitals: Callable[[], Any], *metrics: Any
) -> contextlib.AbstractContextManager[Server | None]:
    """Serve /metrics, /healthz and /readyz.

    Args: listen: ADDRESS:PORT, or none. vitals: the state of now. metrics: what `exposition` takes beside samples.
    """
    if listen == "none":
        return contextlib.nullcontext()
    from whowas.metrics import PAGE_TYPE, exposition
    from whowas.serving import Page, Probe, Server, answer

    page = exposition(lambda: vitals().samples(), *metrics)

    def details() -> object:
        return vitals().to_json()

    def probe(word: str) -> Callable[[bool], Page]:
        return lambda as_json: answer(Probe(getattr(vitals(), word), details), as_json)

    def shown(_as_json: bool) -> Page:
        return Page(200, PAGE_TYPE, page())

    return Server(listen, {"/metrics": shown, "/healthz": probe("unhealthy"), "/readyz": probe("unready")})
