"""`whowas policy propose`: least-privilege policies out of flows, proven before they are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import flows_option, history_option
from whowas.cli.terminal import clean, console, error, plural, print_json, print_text

if TYPE_CHECKING:
    from whowas.policy.known_pods import KnownPods
    from whowas.policy.proposing import Proposal
    from whowas.policy.proving import Proof

FORMATS = ("networkpolicy",)


@click.command()
@flows_option()
@history_option("Evidence too: pods that flows do not show, container ports. A store, or files.")
@click.option("--cluster", metavar="NAME", help="Which cluster of the flows.")
@click.option(
    "--namespace", "namespaces", multiple=True, metavar="NAME", help="For these namespaces alone; repeatable."
)
@click.option("--format", "form", default="networkpolicy", show_default=True, metavar="FORMAT", help=", ".join(FORMATS))
@click.option(
    "--at-least", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Leave out what was seen in fewer flows.",
)  # fmt: skip
@click.option(
    "--fan-in", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
    help="Say so of services with more callers: identities tell them apart better.",
)  # fmt: skip
@click.option("--likely", is_flag=True, help="Names that are no more than likely count too.")
@click.option(
    "--networks", type=click.Path(), metavar="FILE", help="Named ranges: each address in one is proposed as it."
)
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write there, not to standard output."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON value; the policies need --out.")
@click.pass_context
def propose(ctx: click.Context, /, flows: str, history: tuple[str, ...], **told: Any) -> None:
    """Propose least-privilege policies out of the flows of the past, and prove them.

    \b
    Example:
      whowas policy propose --flows named -H cluster.db --namespace shop -o policies.yaml

    Made of flows whose ends have certain names, that were answered and that no policy denied. Everything else is
    listed, with why. Each namespace denies by default. Before anything is printed the text is read back and judged: it
    must admit each of these flows, and nothing else between the workloads that were seen.

    Exit codes: 0 proposed; 1 the proof failed and nothing was written, nothing could be proposed, or something was
    unreadable; 2 usage.
    """
    from whowas.policy.files import read_text
    from whowas.policy.network_policy_yaml import network_policies
    from whowas.policy.proposing import Options
    from whowas.policy.proposing import propose as proposed
    from whowas.policy.proving import prove
    from whowas.policy.seen_flows import seen_flows
    from whowas.policy.workload_labels import WorkloadLabels

    if told["form"] not in FORMATS:
        raise click.UsageError(f"cannot propose in the format '{told['form'][:40]}': there are {', '.join(FORMATS)}")
    known, well = _known(history, told["cluster"], told["as_json"])
    seen = seen_flows([flows], told["cluster"], known.listens, known.on_node, likely=told["likely"])
    ports = known.add_to(seen)
    options = Options(told["namespaces"], told["at_least"], told["fan_in"], _ranges(told["networks"], seen))
    found = proposed(seen, WorkloadLabels(seen.labels), ports, options)
    text = network_policies(found)
    proof = prove(found, seen, read_text(text, "what is proposed").policies)
    if not proof.faults and found.subjects:
        _write(text, told["out"], told["as_json"])
    _say(found, proof, told["out"], told["as_json"])
    ctx.exit(0 if well and found.subjects and not proof.faults and not found.unreadable else 1)


def _known(history: tuple[str, ...], cluster: str | None, as_json: bool) -> tuple[KnownPods, bool]:
    from whowas.policy.known_pods import KnownPods

    if not history:
        return KnownPods(), True
    from whowas.cli.policy import load_known

    known, report = load_known(history, cluster, None, as_json, pods=True)
    mine = known.history.cluster(cluster)
    return KnownPods(mine, known.timeline(mine.name)), report.whole()


def _ranges(path: str | None, seen: Any) -> dict[str, str]:
    """Return for addresses in a named range the narrowest of those."""
    if not path:
        return {}
    import ipaddress

    from enrich import load_networks
    from whowas.policy.seen_flows import ADDRESS

    nets = sorted((one.net for one in load_networks(path)), key=lambda net: -net.prefixlen)
    found = {}
    for name in {end.name for edge in seen.edges for end in edge[:2] if end.kind == ADDRESS}:
        address = ipaddress.ip_address(name)
        inside = next((net for net in nets if address in net), None)
        if inside is not None:
            found[name] = str(inside)
    return found


def _write(text: str, out: str | None, as_json: bool) -> None:
    if out:
        from sinks.files.durable import durable

        with durable(Path(out)) as handle:
            handle.write(text.encode())
    elif not as_json:
        print_text(text.rstrip("\n"))


def _say(found: Proposal, proof: Proof, out: str | None, as_json: bool) -> None:
    for fault in proof.faults:
        error(f"not proven: {fault}")
    for path, why in found.unreadable[:5]:
        error(f"{path}: {why}")
    if as_json:
        tried = {"admitted": proof.admitted, "refused": proof.refused, "faults": proof.faults}
        print_json(found.to_json() | {"proven": not proof.faults, "tried": tried})
        return
    screen = console(err=True, summary=True)
    if proof.faults:
        error("cannot propose: the proof failed, and nothing was written; this is a fault of whowas, please report it")
    elif not found.subjects:
        error("cannot propose anything: no flow has two ends with certain names; what was left out shows --json")
    else:
        left = sum(one.flows for one in found.left.values())
        said = f"{plural(len(found.subjects), 'workload')} in {plural(len(found.spaces), 'namespace')}"
        screen.print(f"proposed for {said}: of {plural(found.made_of(), 'flow')}, {left:,} left out", soft_wrap=True)
        screen.print(f"proven: {proof.admitted:,} connections pass, {proof.refused:,} others do not", soft_wrap=True)
        if found.silent:
            several = plural(len(found.silent), "workload")
            screen.print(f"{several} denied everything, for nothing certain was seen of them", soft_wrap=True)
        if out:
            screen.print(clean(f"wrote {out}"), soft_wrap=True)
