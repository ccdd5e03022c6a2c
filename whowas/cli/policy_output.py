"""Prints answers about policies for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from whowas.cli.terminal import between, clean, console, echo, plural

if TYPE_CHECKING:
    from detect.policy.directions import Side
    from detect.policy.mesh_moments import Authorized
    from whowas.policy.covering import Coverage, Space
    from whowas.policy.explaining import Explained
    from whowas.policy.simulating import Change, Simulated

PAIRS_SHOWN = 3


def print_walk(one: Explained, specs: bool, colours: Mapping[str, str]) -> None:
    """Print one verdict, the pairs it is of, and what each policy did."""
    screen = console()
    verdict = one.verdict
    screen.print(f"{verdict.word}", style=colours.get(verdict.word, "yellow"), end="")
    screen.print(f"  {clean(verdict.reason)}", soft_wrap=True)
    for source, target in one.pairs[:PAIRS_SHOWN]:
        port = "" if one.port is None else f" {one.port}/{one.protocol}"
        screen.print(f"  {clean(source.name)} -> {clean(target.name)}{port}", soft_wrap=True)
    if len(one.pairs) > PAIRS_SHOWN:
        screen.print(f"  and {plural(len(one.pairs) - PAIRS_SHOWN, 'pair')} more that are judged alike")
    _print_side("egress of the source", verdict.egress, specs)
    _print_side("ingress of the destination", verdict.ingress, specs)
    if one.mesh is not None:
        _print_mesh(one.mesh, specs)


def _print_mesh(told: Authorized, specs: bool) -> None:
    """Print what Istio's policies say, which is no part of the verdict."""
    screen = console()
    ids = f"{told.caller or 'an identity nobody knows'} -> {told.target or 'an identity nobody knows'}"
    screen.print(f"  Istio: {told.side.verdict}  {clean(told.side.reason)}", soft_wrap=True)
    screen.print(f"    {clean(ids)}, mTLS {told.mode.lower()}", soft_wrap=True)
    _print_steps(told.side, specs)


def _print_side(name: str, side: Side, specs: bool) -> None:
    screen = console()
    screen.print(f"  {name}: {side.verdict}", end="")
    screen.print("" if side.walk else f"  ({clean(side.reason)})", soft_wrap=True)
    _print_steps(side, specs)


def _print_steps(side: Side, specs: bool) -> None:
    screen = console()
    for step in side.walk:
        rule = f" rule {step.rule}" if step.rule else ""
        tiered = step.policy.tier in ("Admin", "Baseline")
        tier = f" ({step.policy.tier}, priority {step.policy.priority})" if tiered else ""
        told = f"    {step.policy.kind} {step.policy}{tier}{rule}: {step.said}"
        screen.print(clean(told), soft_wrap=True)
        if specs:
            for line in json.dumps(step.policy.spec, indent=2, ensure_ascii=False).split("\n"):
                echo(f"      {line}")


def print_coverage(found: Coverage, pods: bool) -> None:
    """Print a table of namespaces."""
    screen = console()
    if not found.looked:
        screen.print("nobody watched policies at that moment: this is what was seen of them before and after")
    if found.changing:
        screen.print("policies changed within a second of that moment")
    heads = ("namespace", "pods", "ingress", "egress", "neither", "default deny")
    _table([heads, *(_row(one) for one in found.spaces)])
    if pods:
        _table([("pod", "ingress", "egress"), *_pods(found.spaces)])
    screen.print(plural(found.policies, "policy").replace("policys", "policies"))
    for title, several in (("selects no pod", found.idle), ("cannot be read", found.faults)):
        for one in several:
            screen.print(f"  {title}: {clean(one)}", soft_wrap=True)


def _row(one: Space) -> tuple[str, ...]:
    denied = [way for way in ("ingress", "egress") if way in one.default_deny]
    numbers = (len(one.pods), one.isolated("ingress"), one.isolated("egress"), one.open())
    unsure = f"  ({one.unsure} not known)" if one.unsure else ""
    return (one.name, *(f"{count:,}" for count in numbers), (", ".join(denied) or "-") + unsure)


def _pods(spaces: Iterable[Space]) -> list[tuple[str, ...]]:
    return [
        (f"{space.name}/{name}", ", ".join(told["ingress"]) or "open", ", ".join(told["egress"]) or "open")
        for space in spaces
        for name, told in sorted(space.pods.items())
    ]


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    shown = [tuple(clean(cell) for cell in row) for row in rows]
    wide = [max(len(row[place]) for row in shown) for place in range(len(shown[0]))]
    for number, row in enumerate(shown):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip()
        console().print(line, style="bold" if number == 0 else None, soft_wrap=True)


def print_simulated(found: Simulated, policies: int, limit: int) -> None:
    """Print what a trial would have done."""
    screen = console(summary=True)
    files = f"{policies:,} {'policy' if policies == 1 else 'policies'} tried on"
    screen.print(f"{files} {plural(found.flows, 'flow')}: {found.same:,} the same, {found.unjudged:,} not judged")
    titles: dict[str, Any] = {
        "cut": "would be cut", "allowed": "would be let pass, and were denied", "unsure": "not sure",
    }  # fmt: skip
    for what, title in titles.items():
        several = found.of(what)
        if not several:
            continue
        screen.print(f"{plural(sum(one.flows for one in several), 'flow')} {title}", style="bold")
        for one in several[:limit]:
            _print_change(one)
        if len(several) > limit:
            screen.print(f"  and {len(several) - limit:,} lines more (--limit, --json)")
    if not found.of("cut"):
        screen.print("nothing that was seen would be cut")


def _print_change(one: Change) -> None:
    pair = one.pair
    port = "" if pair.port is None else f" {pair.port}/{pair.protocol}"
    line = f"  {pair.source} -> {pair.target}{port}  {plural(one.flows, 'flow')}  {between(one.first_us, one.last_us)}"
    screen = console()
    screen.print(clean(line), soft_wrap=True)
    screen.print(f"    {one.before} -> {one.after}: {clean(one.reason)}", soft_wrap=True)
