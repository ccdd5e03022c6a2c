"""`whowas watch`: record live clusters into a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from whowas.cli import live
from whowas.cli.options import history_option
from whowas.cli.service import Stopping, stop_signals, vitals_server
from whowas.cli.terminal import clean, console, note, plural, print_json
from whowas.cli.watch_options import Choice, pair, topic_settings
from whowas.errors import WhowasError

if TYPE_CHECKING:
    from ingest.cluster.watch.api_client import Connection
    from ingest.cluster.watch.rbac import Right
    from whowas.recorder import PublishOptions, Recorder, RecorderOptions

LISTEN = "127.0.0.1:9464"
LOOK_SECONDS = 0.5
STOP_SECONDS = 10.0


@click.command(short_help="Record a live cluster.")
@history_option("The store to write; made where there is none.", metavar="STORE", multiple=False)
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
@click.option("--istio", is_flag=True, help="Record Istio's AuthorizationPolicies and PeerAuthentications too.")
@click.option("--config", metavar="FILE", help="Where [kafka] says how the broker is reached; see `whowas stream`.")
@click.option("--kafka", multiple=True, metavar="NAME=VALUE", help="An option of the Kafka client; repeatable.")
@click.option("--resend", is_flag=True, help="Send the whole store to the topic again.")
@click.option(
    "--outbox-most",
    default="1GiB",
    show_default=True,
    metavar="SIZE",
    help="How much may wait for the broker; beyond it everything is sent again when the broker is back.",
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
    publish = topic_settings(told["to_kafka"], told["config"], told["kafka"], told["resend"], told["outbox_most"])
    if told["check"]:
        ctx.exit(_check(choices, told["as_json"], told["istio"]))
    if history is None:
        raise click.UsageError("cannot record without a store: say --history FILE; it is made where there is none")
    options = _options(publish, told["istio"])
    ctx.exit(_record(history, _connect(choices), options, told["listen"], told["as_json"]))


def _connect(choices: list[Choice]) -> list[tuple[str, Connection]]:
    """Read the credentials. A cluster that does not answer now is tried again, and keeps no other waiting."""
    from ingest.cluster.watch.api_client import connect

    found = [(one.cluster, connect(one.kubeconfig, one.context, probe=False)) for one in choices]
    return [(name or connection.name, connection) for name, connection in found]


def _options(publish: PublishOptions | None, istio: bool) -> RecorderOptions:
    from ingest.cluster.watch.watch_state import WatchOptions
    from whowas.recorder import RecorderOptions

    return RecorderOptions(publish=publish, watch=WatchOptions(istio=istio))


def _record(
    history: str, clusters: list[tuple[str, Connection]], options: RecorderOptions, listen: str, as_json: bool
) -> int:
    from whowas.cli.watch_live import Recording
    from whowas.recorder import Recorder

    recorder = Recorder(history, clusters, options)
    page = vitals_server(listen, recorder.vitals)
    with stop_signals() as stopping, page, live.shown(Recording(), as_json) as shown:
        recorder.start()
        try:
            _follow(recorder, shown, stopping)
        finally:
            durable = recorder.stop(STOP_SECONDS)
        shown.show(recorder.vitals(), last=True)
    if recorder.failure is not None:
        raise recorder.failure
    if not as_json:
        note(_summary(history, recorder.vitals().written.total(), durable))
    return 0 if durable else 1


def _summary(history: str, written: int, durable: bool) -> str:
    rest = "" if durable else "; the store could not take the rest, the next start asks the apiserver for it again"
    return f"stopped; {plural(written, 'observation')} written to {history}{rest}"


def _follow(recorder: Recorder, shown: live.Lines | live.LiveLine, stopping: Stopping) -> None:
    """Show how it goes until somebody stops it, or the store is lost."""
    while recorder.failure is None and not stopping.wait(LOOK_SECONDS):
        shown.show(recorder.vitals())


def _check(choices: list[Choice], as_json: bool, istio: bool) -> int:
    """Ask each cluster for each right; a cluster that does not answer is said and does not hide the others."""
    from ingest.cluster.watch.api_client import connect
    from ingest.cluster.watch.rbac import rights

    told = []
    for one in choices:
        try:
            connection = connect(one.kubeconfig, one.context)
            told.append(_checked(one.cluster or connection.name, connection, rights(connection, istio=istio)))
        except WhowasError as error:
            if len(choices) == 1:
                raise
            told.append({"cluster": one.cluster or one.context or "", "ok": False, "error": str(error)})
    if as_json:
        for line in told:
            print_json(line, line=True)
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
        "costs": {one.resource.name: one.resource.costs for one in found if not one.allowed},
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
    for name, words in told["costs"].items():
        screen.print(f"  without {name}: {words}", soft_wrap=True)
    if told["ok"] and told["missing"]:
        screen.print("what the recorder needs is granted, but for what is optional: deploy/rbac.yaml shows the role")
    elif told["ok"]:
        screen.print("everything the recorder needs is granted")
    else:
        screen.print("grant what is missing: deploy/rbac.yaml shows the whole role")
