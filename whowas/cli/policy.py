"""`whowas policy`: was it allowed, what is isolated, what would other policies have cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import flows_option, history_option, read_back
from whowas.cli.policy_propose import propose
from whowas.cli.policy_quarantine import quarantine
from whowas.cli.terminal import clean, console, error, plural, print_json, wants_progress

if TYPE_CHECKING:
    from detect.policy.moments import Judge
    from enrich.history.history import ClusterHistory
    from ingest.cluster import EvidenceReport
    from whowas.policy.loading import Known

AT = click.option(
    "--at", metavar="TIME", default="now", show_default=True,
    help="The moment: 2026-11-20T10:15:02Z, now, or a number since 1970 (s, ms, us, ns).",
)  # fmt: skip
CLUSTER = click.option("--cluster", metavar="NAME", help="Which cluster of the history.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
NAMESPACE = click.option(
    "--namespace", default="default", show_default=True, metavar="NAME", help="Of policies in files that name none."
)
# Of a store, what was gone so long before the moment is not read: far more than is uncertain about a change.
AROUND_US = 60_000_000
DECIDED = ("allowed", "denied", "open")
COLOURS = {"allowed": "green", "open": "green", "denied": "red"}


@click.group(short_help="Who may talk to whom: verdicts, coverage, what if.")
def command() -> None:
    """Ask whether policies let a connection pass, as of a moment; what is isolated; what other policies would have cut.

    \b
    Example:
      whowas policy explain --from shop/web --to data/db:5432 --at 2026-11-21T08:39:41Z \\
          -H samples/overlay/history.jsonl.gz -H samples/overlay/policies.jsonl

    NetworkPolicy, ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy are judged
    (docs/how-to/policy.md).
    """


@command.command()
@click.option("--from", "source", required=True, metavar="END", help="namespace/pod, namespace/workload or an address.")
@click.option("--to", "target", required=True, metavar="END:PORT", help="The same, with a port: data/db:5432.")
@history_option()
@AT
@CLUSTER
@click.option(
    "--with", "files", multiple=True, type=click.Path(), metavar="FILE",
    help="Judge as if these policies were in force too, in place of those of their names.",
)  # fmt: skip
@NAMESPACE
@click.option(
    "--identities", type=click.Path(), metavar="TOML",
    help="Who issues SPIFFE ids: Istio's AuthorizationPolicies are judged by them.",
)  # fmt: skip
@click.option("--spec", is_flag=True, help="Print each policy of the walk as it was then.")
@JSON
@click.pass_context
def explain(ctx: click.Context, /, source: str, target: str, history: tuple[str, ...], **told: Any) -> None:
    """Say whether a connection was allowed at a moment, and walk through every policy that is about either end.

    \b
    Example:
      whowas policy explain --from shop/web --to data/db:5432 --at 2026-11-21T08:39:41Z \\
          -H samples/overlay/history.jsonl.gz -H samples/overlay/policies.jsonl

    \b
    allowed        a rule lets it pass            indeterminate  what is known does not decide
    denied         isolated, and no rule does     undefined      the API does not say
    open           nothing is about either end    unsupported    a policy that is not judged decides

    Where Istio's policies were recorded, what they say stands beside it; a connection needs both
    (docs/how-to/identity.md).

    Exit codes: 0 allowed, denied or open; 1 none of these, or something was unreadable; 2 usage.
    """
    from detect.policy.trial import Trial
    from whowas.policy.ends import read_target
    from whowas.policy.explaining import explain as explained
    from whowas.policy.files import read_files
    from whowas.policy.meshes import mesh_judge

    wanted, at_us = read_target(target), read_back("--at", told["at"])
    put = read_files(told["files"], told["namespace"])
    known, report = load_known(history, told["cluster"], at_us, told["as_json"])
    cluster, judge = _judge(known, told["cluster"], Trial(tuple(put.policies)))
    mesh = mesh_judge(known, cluster.name, told["identities"])
    found = explained(cluster, judge, source, wanted, at_us, mesh)
    if told["as_json"]:
        print_json([one.to_json(at_us) for one in found])
    else:
        _print_walks(found, source, target, at_us, told["spec"])
    _say_others(put.others)
    ctx.exit(_code(report, all(one.verdict.word in DECIDED for one in found)))


@command.command()
@history_option()
@AT
@CLUSTER
@click.option("--pods", is_flag=True, help="Print each pod with the policies that isolate it.")
@JSON
@click.pass_context
def coverage(ctx: click.Context, /, history: tuple[str, ...], **told: Any) -> None:
    """Say which pods were isolated at a moment, in which direction, by namespace; and which policies select nothing.

    \b
    Example:
      whowas policy coverage --at 2026-11-21T08:39:41Z \\
          -H samples/overlay/history.jsonl.gz -H samples/overlay/policies.jsonl

    Exit codes: 0 said; 1 nobody watched policies then, or something was unreadable; 2 usage.
    """
    from whowas.policy.covering import cover

    at_us = read_back("--at", told["at"])
    known, report = load_known(history, told["cluster"], at_us, told["as_json"])
    cluster, judge = _judge(known, told["cluster"])
    found = cover(cluster, judge, at_us)
    if told["as_json"]:
        print_json(found.to_json())
    else:
        from whowas.cli.policy_output import print_coverage

        print_coverage(found, told["pods"])
    ctx.exit(_code(report, found.looked and not found.changing))


@command.command()
@click.argument("files", nargs=-1, type=click.Path(), metavar="FILE|DIR...")
@flows_option()
@history_option()
@CLUSTER
@click.option("--remove", multiple=True, metavar="NAME", help="Take away a policy: namespace/name, kind/name.")
@click.option("--only", is_flag=True, help="The files are all policies there are: take away every other.")
@NAMESPACE
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Lines of each to print.",
)
@JSON
@click.pass_context
def simulate(ctx: click.Context, /, files: tuple[str, ...], flows: str, history: tuple[str, ...], **told: Any) -> None:
    """Judge the flows of the past under other policies: what would be cut, what let pass, and what is not sure.

    \b
    Example:
      whowas policy simulate policies/ --flows named -H cluster.db

    Policies of the files are put in the place of those of their names; files may have several documents, lists, what
    kustomize built; defaults may be left out. `-` is standard input.

    Exit codes: 0 nothing would be cut; 1 something would be, or was unreadable; 2 usage.
    """
    from detect.policy.trial import Trial
    from whowas.policy.files import read_files
    from whowas.policy.simulating import CUT
    from whowas.policy.simulating import simulate as simulated

    if not files and not told["remove"] and not told["only"]:
        raise click.UsageError("cannot simulate nothing: name files of policies, or --remove NAME")
    put = read_files(files, told["namespace"])
    trial = Trial(tuple(put.policies), frozenset(map(_key, told["remove"])), told["only"])
    known, report = load_known(history, told["cluster"], None, told["as_json"])
    found = simulated(known, trial, [flows])
    if told["as_json"]:
        print_json(found.to_json() | {"not_judged": put.others})
    else:
        from whowas.cli.policy_output import print_simulated

        print_simulated(found, len(put.policies), told["limit"])
    _say_others(put.others)
    for path, why in found.unreadable[:5]:
        error(f"{path}: {why}")
    ctx.exit(_code(report, not found.of(CUT) and not found.unreadable))


def _key(name: str) -> tuple[str, str, str]:
    """`namespace/name` of a NetworkPolicy, or `kind/name` of a policy of the whole cluster."""
    from detect.policy.kinds import TIERS

    first, slash, last = name.partition("/")
    if not slash or not first or not last:
        raise click.UsageError(f"cannot remove '{name}': write namespace/name, or ClusterNetworkPolicy/name")
    kind = next((one for one in TIERS if one.lower() == first.lower() and one != "NetworkPolicy"), "")
    return (kind, "", last) if kind else ("NetworkPolicy", first, last)


def load_known(
    history: tuple[str, ...], cluster: str | None, at_us: int | None, as_json: bool, **told: Any
) -> tuple[Known, EvidenceReport]:  # fmt: skip
    """Read a history, telling a person how far it is."""
    from ingest.cluster import EvidenceReport
    from whowas.cli.progress import Bars
    from whowas.cli.replay import need_history, say_compiling, say_unreadable
    from whowas.policy.loading import ALWAYS, load

    need_history(history)
    report = EvidenceReport()
    # What was made before the moment may have been seen long after it.
    span = ALWAYS if at_us is None else (at_us - AROUND_US, ALWAYS[1])
    say_compiling(as_json)
    with Bars(wants_progress(False, as_json)) as bars:
        known = load(history, cluster=cluster, report=report, progress=bars.history, span=span, **told)
    say_unreadable(report.files)
    return known, report


def _judge(known: Known, cluster: str | None, trial: Any = None) -> tuple[ClusterHistory, Judge]:
    from detect.policy.moments import Judge
    from detect.policy.trial import Trial
    from whowas.policy.loading import need_policies

    mine = known.history.cluster(cluster)
    trial = trial or Trial()
    timeline = known.timeline(mine.name) if trial.put else need_policies(known, mine.name)
    return mine, Judge(timeline, trial)


def _code(report: EvidenceReport, well: bool) -> int:
    return 0 if well and report.whole() else 1


def _say_others(others: list[str]) -> None:
    """Policies of other kinds may decide too: said, so that nobody takes the answer for more than it is."""
    for one in others:
        error(f"not judged: {one}")


def _print_walks(found: list[Any], source: str, target: str, at_us: int, specs: bool) -> None:
    from whowas.cli.policy_output import print_walk
    from whowas.timestamps import spell

    console().print(f"{clean(source)} -> {clean(target)}  {spell(at_us)}", style="bold")
    for one in found:
        print_walk(one, specs, COLOURS)
    several = {one.verdict.word for one in found}
    if len(several) > 1:
        console().print(f"{plural(len(several), 'verdict')}: not all pairs of pods are judged alike")


command.add_command(propose)
command.add_command(quarantine)
