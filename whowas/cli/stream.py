"""`whowas stream`: flow records from Kafka, named, to Parquet and Kafka."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.show import clean, console, plural, print_json

if TYPE_CHECKING:
    from whowas.cli.stream_live import Lines, LiveLine
    from whowas.config import StreamConfig
    from whowas.serving import Page, Server
    from whowas.streaming import Worker

LOOK_SECONDS = 0.5
STOP_SECONDS = 9.0


@click.command(short_help="Name flow records from Kafka as they come.")
@click.option("-c", "--config", required=True, metavar="FILE", help="whowas.toml; deploy/whowas.toml shows all of it.")
@click.option("--check", is_flag=True, help="Try brokers, topics, rights, history and outputs; read nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, at each change and each minute.")
@click.pass_context
def command(ctx: click.Context, /, config: str, check: bool, as_json: bool) -> None:
    """Name flow records from Kafka as they come: to Parquet files, each record once, and to a Kafka topic.

    \b
    Example:
      whowas stream --config whowas.toml --check
      whowas stream --config whowas.toml

    A flow waits until the history is known beyond its end, and as long as it takes a new address to be published.
    Start as many workers as there is work: they share the partitions, and one that dies loses nothing. SIGHUP, or
    a change of the file, takes over names and networks; all else needs a restart.

    Exit codes: 0 stopped and all that was named is delivered (with --check: all is well); 1 something named could not
    be delivered, it is read again at the next start (with --check: something is not well); 2 usage, configuration, or
    something that trying again cannot mend.
    """
    from whowas.config import load

    loaded = load(config)
    ctx.exit(_check(loaded, as_json) if check else _stream(loaded, as_json))


def _stream(config: StreamConfig, as_json: bool) -> int:
    from whowas.streaming import Worker

    worker = Worker(config)
    with _signals(worker) as stopping, _server(config.serving.listen, worker), _show(as_json) as shown:
        running = _Running(worker)
        running.start()
        while running.is_alive() and not stopping.wait(LOOK_SECONDS):
            shown.show(worker.vitals())
        running.join(STOP_SECONDS)
        shown.show(worker.vitals(), last=True)
    if running.failure is not None:
        raise running.failure
    return _told(worker, running.is_alive(), as_json)


def _told(worker: Worker, hangs: bool, as_json: bool) -> int:
    vitals = worker.vitals()
    if not as_json:
        rest = ""
        if hangs or vitals.undelivered:
            rest = "; what was named could not be delivered in time, the next start reads it again"
        click.echo(f"whowas: stopped; {plural(vitals.counts.delivered.total(), 'record')} delivered{rest}", err=True)
    return 1 if hangs or vitals.undelivered else 0


class _Running(threading.Thread):
    """The worker's thread, and what ended it."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(name="worker", daemon=True)
        self.failure: BaseException | None = None
        self._worker = worker

    def run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failure = error


@contextlib.contextmanager
def _signals(worker: Worker) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM stop in order, the second time at once; SIGHUP reloads."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        worker.stop()
        stopping.set()

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: worker.reload())
    try:
        yield stopping
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _show(as_json: bool) -> Lines | LiveLine:
    from whowas.cli.stream_live import Lines, LiveLine

    return LiveLine() if sys.stderr.isatty() and not as_json else Lines(as_json)


def _server(listen: str, worker: Worker) -> contextlib.AbstractContextManager[Server | None]:
    if listen == "none":
        return contextlib.nullcontext()
    from whowas.metrics import PAGE_TYPE, STREAM_METRICS, exposition
    from whowas.serving import Page, Probe, Server, answer

    metrics = exposition(lambda: worker.vitals().samples(), STREAM_METRICS, "kafka")

    def details() -> object:
        return worker.vitals().to_json()

    def probe(word: str) -> Any:
        return lambda as_json: answer(Probe(getattr(worker.vitals(), word), details), as_json)

    def shown(_as_json: bool) -> Page:
        return Page(200, PAGE_TYPE, metrics())

    return Server(listen, {"/metrics": shown, "/healthz": probe("unhealthy"), "/readyz": probe("unready")})


def _check(config: StreamConfig, as_json: bool) -> int:
    """Say of each part whether it is well, and what to do where it is not."""
    from whowas.streaming.checking import checks

    well = True
    for one in checks(config):
        well &= one.ok
        if as_json:
            print_json({"check": one.what, "ok": one.ok, "detail": one.detail})
        else:
            mark = "[green]ok[/]    " if one.ok else "[red]failed[/]"
            console().print(f"{mark}  {one.what:<10}", end="")
            console().print(clean(one.detail), markup=False, highlight=False, soft_wrap=True)
    return 0 if well else 1
