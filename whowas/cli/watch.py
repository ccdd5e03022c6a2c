"""`whowas watch`: record live clusters into a history."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from whowas.cli.terminal import clean, console, plural, print_json
from whowas.errors import ConfigError, MissingExtra, WhowasError
from whowas.kafka import CLIENTS

if TYPE_CHECKING:
    from ingest.cluster.watch.api_client import Connection
    from ingest.cluster.watch.rbac import Right
    from whowas.cli.watch_live import Lines, LiveLine
    from whowas.kafka import Value
    from whowas.recorder import PublishOptions, Recorder
    from whowas.serving import Page, Server

LISTEN = "127.0.0.1:9464"
LOOK_SECONDS = 0.5
STOP_SECONDS = 10.0
SHIFTS = {None: 0, "KiB": 10, "MiB": 20, "GiB": 30}


class Choice(NamedTuple):
    """One cluster as it was asked for; None = not said."""

    kubeconfig: str | None
    context: str | None
    cluster: str | None


@click.command(short_help="Record a live cluster.")
@click.option("-H", "--history", metavar="STORE", help="The store to write; made where there is none.")
@click.option("--kubeconfig", multiple=True, metavar="FILE", help="As kubectl takes it; repeatable.")
@click.option("--context", multiple=True, metavar="NAME", help="A context of the kubeconfig; repeatable.")
@click.option("--cluster", multiple=True, metavar="NAME", help="What the history calls the cluster; repeatable.")
@click.option(
    "--listen",
    default=LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT|none",
    help="Where /metrics, /healthz and /readyz are served.",
)
@click.option("--to-kafka", metavar="TOPIC", help="Send the evidence to this topic too, for replicas of the history.")
@click.option("--config", metavar="FILE", help="Where [kafka] says how the broker is reached; see `whowas stream`.")
@click.option("--kafka", multiple=True, metavar="NAME=VALUE", help="An option of the Kafka client; repeatable.")
@click.option("--resend", is_flag=True, help="Send the whole store to the topic anew.")
@click.option(
    "--outbox-most",
    default="1GiB",
    show_default=True,
    metavar="SIZE",
    help="How much may wait for the broker; beyond it all is sent anew when the broker is back.",
)
@click.option("--check", is_flag=True, help="Say which rights there are and which are missing; record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, at each change and each minute.")
@click.pass_context
def command(ctx: click.Context, /, history: str | None, **told: Any) -> None:
    """Record a live cluster: every change of what naming needs, durable within a second.

    \b
    Example:
      whowas watch --history cluster.db

    Without --kubeconfig: $KUBECONFIG, ~/.kube/config, or the cluster that whowas runs in. Stopped and started
    again it goes on where it ended; what could not be seen meanwhile is recorded as a gap.

    Several clusters side by side: repeat what differs, in the same order; one --kubeconfig serves all.

    \b
      whowas watch --history all.db --context eu --context us
      whowas watch --history all.db --kubeconfig eu.yaml --cluster eu \\
          --kubeconfig us.yaml --cluster us

    Exit codes: 0 stopped and everything received is durable (with --check: nothing is missing); 1 something
    received is not durable, the next start asks for it again (with --check: a right is missing); 2 usage,
    configuration, or a store that cannot be written.

    With --to-kafka every change goes to a compacted topic as well, from which any number of `whowas stream` keep
    replicas of the history. A broker that is down never stops the recording.
    """
    choices = pair(told["kubeconfig"], told["context"], told["cluster"])
    publish = _publishing(told["to_kafka"], told["config"], told["kafka"], told["resend"], told["outbox_most"])
    if told["check"]:
        ctx.exit(_check(choices, told["as_json"]))
    if history is None:
        raise click.UsageError("cannot record without a store: say --history FILE; it is made where there is none")
    ctx.exit(_record(history, _connect(choices), publish, told["listen"], told["as_json"]))


def pair(kubeconfigs: Sequence[str], contexts: Sequence[str], clusters: Sequence[str]) -> list[Choice]:
    """Put the n-th of each option together; one kubeconfig serves every context. Raises: ConfigError."""
    count = max(len(kubeconfigs), len(contexts), len(clusters), 1)
    said = {"--kubeconfig": kubeconfigs, "--context": contexts, "--cluster": clusters}
    for option, values in said.items():
        shared = option == "--kubeconfig" and len(values) == 1
        if values and len(values) != count and not shared:
            told = ", ".join(f"{len(one)} {name}" for name, one in said.items() if one)
            raise ConfigError(
                f"cannot tell which belong together: there are {told}; give {option} once for each cluster"
            )
    files = list(kubeconfigs) * count if len(kubeconfigs) == 1 else list(kubeconfigs)
    blank = [None] * count
    choices = [Choice(*one) for one in zip(files or blank, contexts or blank, clusters or blank, strict=True)]
    if len({one[:2] for one in choices}) < count:
        raise ConfigError("cannot record one cluster twice into one store; give each its own --context or --kubeconfig")
    return choices


def _publishing(
    topic: str | None, config: str | None, options: Sequence[str], resend: bool, most: str
) -> PublishOptions | None:
    """Say where the evidence goes; None: nowhere but into the store. Raises: ConfigError."""
    if topic is None:
        if config is not None or options or resend:
            raise ConfigError("cannot send to no topic: --config, --kafka and --resend go with --to-kafka TOPIC")
        return None
    from whowas.config import load_kafka
    from whowas.evidence_topic import TopicSettings
    from whowas.kafka import refuse_ours
    from whowas.recorder import PublishOptions
    from whowas.settings import Kafka

    known = load_kafka(config) if config is not None else Kafka()
    told = dict(_split(one) for one in options)
    client = told.pop("client", known.client)
    if client not in CLIENTS:
        raise ConfigError(f"cannot use the Kafka client '{client}': there is none; say one of {', '.join(CLIENTS)}")
    every = {**known.options, **told}
    refuse_ours(every)
    _check_client(client, every)
    return PublishOptions(TopicSettings(topic, client, every), resend, parse_size(most))


def _check_client(client: str, options: Mapping[str, Value]) -> None:
    """Refuse before the start what no broker can mend. Raises: ConfigError, MissingExtra."""
    from importlib.util import find_spec

    from whowas.kafka import OUT, for_kafka_python

    package, extra = ("confluent_kafka", "confluent") if client == "confluent" else ("kafka", "kafka")
    if find_spec(package) is None:
        raise MissingExtra(package, extra)
    if client != "confluent":
        for_kafka_python(options, OUT)


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(f"cannot take --kafka '{word}': no value; write it like bootstrap.servers=broker:9092")
    return name, value


def parse_size(word: str) -> int:
    """Read a number of bytes: 500MiB, 2GiB. Raises: ConfigError."""
    found = re.fullmatch(r"(\d{1,9})\s*([KMG]iB)?", word.strip())
    if not found or not int(found[1]):
        raise ConfigError(f"cannot keep '{word}': no size; write it like 500MiB or 2GiB")
    return int(found[1]) << SHIFTS[found[2]]


def _connect(choices: list[Choice]) -> list[tuple[str, Connection]]:
    """Read the credentials. A cluster that does not answer now is tried again, and keeps no other waiting."""
    from ingest.cluster.watch.api_client import connect

    found = [(one.cluster, connect(one.kubeconfig, one.context, probe=False)) for one in choices]
    return [(name or connection.name, connection) for name, connection in found]


def _record(
    history: str, clusters: list[tuple[str, Connection]], publish: PublishOptions | None, listen: str, as_json: bool
) -> int:
    from whowas.recorder import Recorder, RecorderOptions

    recorder = Recorder(history, clusters, RecorderOptions(publish=publish))
    with _told_to_stop() as stopping, _server(listen, recorder), _show(as_json) as shown:
        recorder.start()
        try:
            _follow(recorder, shown, stopping)
        finally:
            durable = recorder.stop(STOP_SECONDS)
        shown.show(recorder.vitals(), last=True)
    if recorder.failure is not None:
        raise recorder.failure
    if not as_json:
        click.echo(_summary(history, recorder.vitals().written.total(), durable), err=True)
    return 0 if durable else 1


def _summary(history: str, written: int, durable: bool) -> str:
    rest = "" if durable else "; the store could not take the rest, the next start asks the apiserver for it again"
    return f"whowas: stopped; {plural(written, 'observation')} written to {clean(history)}{rest}"


def _follow(recorder: Recorder, shown: Lines | LiveLine, stopping: threading.Event) -> None:
    """Show how it goes until somebody stops it, or the store is lost."""
    while recorder.failure is None and not stopping.wait(LOOK_SECONDS):
        shown.show(recorder.vitals())


def _show(as_json: bool) -> Lines | LiveLine:
    from whowas.cli.watch_live import Lines, LiveLine

    return LiveLine() if sys.stderr.isatty() and not as_json else Lines(as_json)


@contextlib.contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Take Ctrl-C and SIGTERM as the word to stop in order; the second time as the word to stop at once."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _server(listen: str, recorder: Recorder) -> contextlib.AbstractContextManager[Server | None]:
    if listen == "none":
        return contextlib.nullcontext()
    from whowas.metrics import PAGE_TYPE, exposition
    from whowas.serving import Page, Probe, Server, answer

    metrics = exposition(lambda: recorder.vitals().samples())

    def details() -> object:
        return recorder.vitals().to_json()

    def probe(word: str) -> Any:
        return lambda as_json: answer(Probe(getattr(recorder.vitals(), word), details), as_json)

    def shown(_as_json: bool) -> Page:
        return Page(200, PAGE_TYPE, metrics())

    return Server(listen, {"/metrics": shown, "/healthz": probe("unhealthy"), "/readyz": probe("unready")})


def _check(choices: list[Choice], as_json: bool) -> int:
    """Ask each cluster for each right; a cluster that does not answer is said and does not hide the others."""
    from ingest.cluster.watch.api_client import connect
    from ingest.cluster.watch.rbac import rights

    told = []
    for one in choices:
        try:
            connection = connect(one.kubeconfig, one.context)
            told.append(_checked(one.cluster or connection.name, connection, rights(connection)))
        except WhowasError as error:
            if len(choices) == 1:
                raise
            told.append({"cluster": one.cluster or one.context or "", "ok": False, "error": str(error)})
    if as_json:
        for line in told:
            print_json(line)
    else:
        for line in told:
            _print_check(line)
    return 0 if all(line["ok"] for line in told) else 1


def _checked(name: str, connection: Connection, found: list[Right]) -> dict[str, Any]:
    granted: dict[str, list[str]] = {}
    for one in found:
        granted.setdefault(one.resource.name, []).extend([one.verb] if one.allowed else [])
    return {
        "cluster": name,
        "server": connection.server,
        "version": connection.version,
        "ok": all(one.allowed or one.optional for one in found),
        "rights": granted,
        "missing": [str(one) for one in found if not one.allowed],
    }


def _print_check(told: dict[str, Any]) -> None:
    screen = console()
    if "error" in told:
        screen.print(f"{clean(told['cluster'])}: {clean(told['error'])}")
        return
    screen.print(f"{clean(told['cluster'])}  {clean(told['server'])}  {clean(told['version']) or 'version not told'}")
    wide = max(map(len, told["rights"]))
    for name, verbs in told["rights"].items():
        screen.print(f"  {name:<{wide}}  {' '.join(verbs) or '-'}")
    for one in told["missing"]:
        screen.print(f"  missing: {clean(one)}")
    if told["ok"]:
        screen.print("everything the recorder needs is granted")
    else:
        screen.print("grant what is missing: deploy/rbac.yaml shows the whole role")
