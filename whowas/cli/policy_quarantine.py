"""`whowas policy quarantine`: what the label of a finding's advice would cut, before anybody sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from whowas.cli.options import flows_option, history_option, read_back
from whowas.cli.terminal import between, clean, console, error, plural, print_json
from whowas.errors import ConfigError

if TYPE_CHECKING:
    from whowas.policy.quarantining import Quarantined
    from whowas.policy.simulating import Change

LIMIT = 20
HEADINGS = {"stays": "still pass, with the label alone", "unsure": "not sure", "cut": "would be cut"}


@click.command()
@click.argument("pod", metavar="NAMESPACE/POD")
@flows_option()
@history_option()
@click.option("--at", metavar="TIME", default="now", show_default=True, help="When the pod of this name is meant.")
@click.option("--cluster", metavar="NAME", help="Which cluster of the history.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@click.pass_context
def quarantine(
    ctx: click.Context, /, pod: str, flows: str, history: tuple[str, ...], at: str, cluster: str | None, as_json: bool
) -> None:  # fmt: skip
    """Say which of a pod's flows its quarantine would have cut, and which other policies would still let pass.

    \b
    Example:
      whowas policy quarantine shop/web-6c9f7d5b8-hq6zt --at 2026-11-21T08:39:41Z --flows named -H cluster.db

    The quarantine is that of a finding's advice: a policy that lets nothing pass, and a label. Policies add to each
    other: what another one allows stays allowed, until the pod's own labels are taken too. Nothing is changed.

    Exit codes: 0 with the label alone nothing that was seen still passes; 1 something does, or was unreadable; 2 usage.
    """
    from whowas.cli.policy import load_known
    from whowas.policy.ends import holders
    from whowas.policy.quarantining import STAYS
    from whowas.policy.quarantining import quarantine as quarantined

    at_us = read_back("--at", at)
    known, report = load_known(history, cluster, None, as_json, pods=True)
    mine = known.history.cluster(cluster)
    several = [one for one in holders(mine, pod, at_us) if one.uid]
    if len(several) != 1:
        names = ", ".join(one.name for one in several[:3])
        raise ConfigError(f"cannot say which pod '{pod[:80]}' is: {names or 'it is none'}; name one pod")
    timeline, uid = known.timeline(mine.name), several[0].uid
    if uid not in timeline.pods:
        raise ConfigError(f"cannot judge {several[0].name}: its labels are not known; record it with 'whowas watch'")
    space = several[0].name.partition("/")[0]
    label, bare = (quarantined(timeline, uid, space, [flows], unlabelled=one) for one in (False, True))
    if as_json:
        print_json({"pod": several[0].name, "uid": uid, "labelled": label.to_json(), "unlabelled": bare.to_json()})
    else:
        _print(several[0].name, label, bare)
    for path, why in label.unreadable[:5]:
        error(f"{path}: {why}")
    well = report.whole() and not label.unreadable
    ctx.exit(0 if well and not label.count(STAYS) else 1)


def _print(pod: str, label: Quarantined, bare: Quarantined) -> None:
    screen = console()
    screen.print(f"{clean(pod)}  {plural(label.flows, 'flow')}", style="bold")
    for title, found in (("by the label alone", label), ("without its own labels too", bare)):
        cut, stays, unsure = (f"{found.count(what):,}" for what in ("cut", "stays", "unsure"))
        screen.print(f"  {title}: {cut} cut, {stays} still pass, {unsure} not sure", soft_wrap=True)
    for what, heading in HEADINGS.items():
        _print_changes(label.of(what), heading, reasons=what != "cut")


def _print_changes(several: list[Change], heading: str, *, reasons: bool) -> None:
    screen = console()
    if several:
        screen.print(heading, style="bold")
    for one in several[:LIMIT]:
        port = "" if one.pair.port is None else f" {one.pair.port}/{one.pair.protocol}"
        times = between(one.first_us, one.last_us)
        line = f"  {one.pair.source} -> {one.pair.target}{port}  {plural(one.flows, 'flow')}  {times}"
        screen.print(clean(line), soft_wrap=True)
        if reasons:
            screen.print(clean(f"    {one.reason}"), soft_wrap=True)
    if len(several) > LIMIT:
        screen.print(f"  and {len(several) - LIMIT:,} lines more: --json has them all")
