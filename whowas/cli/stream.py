"""`whowas stream`: flow records from Kafka, named, to Parquet and Kafka."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import click

from whowas.cli import live
from whowas.cli.memory import keep_memory
from whowas.cli.options import history_option
from whowas.cli.service import stop_signals, vitals_server
from whowas.cli.terminal import clean, console, note, plural, print_json

if TYPE_CHECKING:
    from whowas.settings import Alerts, Rules, StreamConfig
    from whowas.streaming import Worker

LOOK_SECONDS = 0.5
STOP_SECONDS = 9.0
# Beside the flows, where no reader of the folder looks.
STATE = ".whowas-stream/files/rules.db"


@click.command(short_help="Name flow records from Kafka as they come.")
@click.option("-c", "--config", metavar="FILE", help="whowas.toml; deploy/whowas.toml shows all of it.")
@click.option("--files", metavar="DIR", help="Without a configuration: a folder of captures and flow logs.")
@history_option("With --files: who held which address when.", metavar="STORE", multiple=False)
@click.option("-o", "--out", metavar="DIR", help="With --files: where named flows go, as Parquet.")
@click.option("--cluster", metavar="NAME", help="With --files: which cluster of the history.")
@click.option("--format", "form", metavar="NAME", help="With --files: format of the logs; else recognised.")
@click.option("--networks", metavar="FILE", help="With --files: names of outside ranges.")
@click.option("--identities", metavar="TOML", help="With --files: who issues SPIFFE ids, and to which pods.")
@click.option("--vni", multiple=True, metavar="N", type=int, help="With --files: VNIs of the cluster's pod network.")
@click.option(
    "--wait",
    type=click.Choice(["final", "never"]),
    default="final",
    show_default=True,
    help="With --files: name a flow when the history is known beyond it, or at once.",
)
@click.option(
    "--settled",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --files: a capture is complete when nobody wrote to it for this long.",
)
@click.option(
    "--listen", default="none", show_default=True, metavar="ADDRESS:PORT", help="With --files: probes, metrics."
)
@click.option(
    "--alerts", metavar="FILE", help="With --files: judge flows by rules; findings go here, a JSON line each."
)
@click.option("-r", "--rules", multiple=True, metavar="PATH", help="With --alerts: rules; `pack`, unless said.")
@click.option("--site", metavar="TOML", help="With --alerts: lists that rules ask for.")
@click.option("--silences", metavar="TOML", help="With --alerts: findings to hide until a date.")
@click.option("--check", is_flag=True, help="Try brokers, topics, rights, history and outputs; read nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, at each change and each minute.")
@click.pass_context
def command(ctx: click.Context, /, config: str | None, check: bool, as_json: bool, **told: Any) -> None:
    """Name flow records from Kafka as they come: to Parquet files, each record once, and to a Kafka topic.

    \b
    Example:
      whowas stream --config whowas.toml --check
      whowas stream --config whowas.toml
      whowas stream --files /var/log/zeek --history cluster.db --out named

    A flow waits until the history is known beyond its end, and as long as it takes a new address to be published.
    Start as many workers as there is work: they share the partitions, and one that dies loses nothing. SIGHUP, or
    a change of the file, takes over names and networks; all else needs a restart.

    --files reads a folder into which a sensor rotates captures or logs: each file once, over restarts, renames and
    compression; a log as it grows, a capture when it is whole.

    Exit codes: 0 stopped and all that was named is delivered (with --check: all is well); 1 something named could not
    be delivered, it is read again at the next start (with --check: something is not well); 2 usage, configuration, or
    something that a retry cannot fix.
    """
    loaded = _config(config, told)
    ctx.exit(_check(loaded, as_json) if check else _stream(loaded, as_json))


def _config(path: str | None, told: dict[str, Any]) -> StreamConfig:
    from whowas.config import load, of_folder
    from whowas.settings import HistorySettings, Input, Naming

    files, history, out = told["files"], told["history"], told["out"]
    if (path is None) == (files is None):
        raise click.UsageError("say --config FILE, or --files DIR with --history STORE and --out DIR")
    if path is not None:
        return load(path)
    if history is None or out is None:
        raise click.UsageError("cannot name files without a history and a place for the flows: say --history and --out")
    given = Input(format=told["form"] or "auto", settled_seconds=told["settled"])
    naming = Naming(told["wait"], networks=told["networks"], identities=told["identities"], vnis=told["vni"] or None)
    judged = _judged(out, told)
    return of_folder(files, HistorySettings(history, told["cluster"]), out, given, naming, told["listen"], judged)


def _judged(out: str, told: dict[str, Any]) -> tuple[Rules, Alerts] | None:
    from whowas.settings import Alerts, Rules

    if told["alerts"] is None:
        if told["rules"] or told["site"] or told["silences"]:
            raise click.UsageError("cannot judge without a place for what is found: say --alerts FILE")
        return None
    rules = Rules(f"{out}/{STATE}", told["rules"] or ("pack",), told["site"], told["silences"])
    return rules, Alerts(file=told["alerts"])


def _stream(config: StreamConfig, as_json: bool) -> int:
    from whowas.cli.stream_live import Streaming
    from whowas.metrics import STREAM_METRICS
    from whowas.streaming import Worker

    # A poll makes a hundred thousand objects and no cycles: to look for some after every 700 takes a tenth of the time.
    gc.set_threshold(100_000, 20, 100)
    keep_memory()
    worker = Worker(config)
    page = vitals_server(config.serving.listen, worker.vitals, STREAM_METRICS, "kafka")
    with stop_signals(worker.stop, worker.reload) as stopping, page, live.shown(Streaming(), as_json) as shown:
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
        note(f"stopped; {plural(vitals.counts.delivered.total(), 'record')} delivered{rest}")
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


def _check(config: StreamConfig, as_json: bool) -> int:
    """Say of each part whether it is well, and what to do where it is not."""
    from whowas.streaming.preflight import checks

    well = True
    for one in checks(config):
        well &= one.ok
        if as_json:
            print_json({"check": one.what, "ok": one.ok, "detail": one.detail}, line=True)
        else:
            screen = console()
            screen.print("ok    " if one.ok else "failed", style="green" if one.ok else "red", end="")
            screen.print(f"  {one.what:<10}{clean(one.detail)}", highlight=False, soft_wrap=True)
    return 0 if well else 1
