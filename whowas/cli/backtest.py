"""`whowas backtest`: rules over named flows of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import flows_option, history_option
from whowas.cli.rules import LEVEL_COLOURS, RULES, SITE, load_rules
from whowas.cli.terminal import bars, between, clean, console, error, plural, print_json, rate, wants_progress

if TYPE_CHECKING:
    from detect.judge.silences import Silences
    from detect.sigma import Loaded
    from whowas.batch.backtest import Result, RuleCount

LEVELS = ("informational", "low", "medium", "high", "critical")


@click.command(short_help="Judge flows of the past by rules.")
@RULES
@flows_option()
@SITE
@click.option("--silences", type=click.Path(), metavar="TOML", help="Findings to hide until a date.")
@click.option("-o", "--out", type=click.Path(), metavar="FILE", help="Write findings here: OCSF, one JSON a line.")
@click.option(
    "--existing",
    type=click.Choice(["refuse", "replace"]),
    default="refuse",
    show_default=True,
    help="What to do with a FILE that is there.",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default=LEVELS[0],
    show_default=True,
    help="Findings below it are left out.",
)
@click.option(
    "--show",
    type=click.IntRange(0, 100),
    default=1,
    show_default=True,
    metavar="N",
    help="Findings shown in full.",
)
@history_option("The history that the proposed commands name.", multiple=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, no progress.")
@click.pass_context
def command(ctx: click.Context, /, rules: tuple[str, ...], flows: str, **told: Any) -> None:
    """Judge named flows of the past by rules: what they would have found, how often, and the time each rule takes.

    \b
    Example:
      whowas backtest --flows named --level medium

    DIR is what `whowas replay` or `whowas stream` wrote: a folder of Parquet files, or one file.
    The same flows give the same findings, by uid, as they give live.
    """
    from whowas.batch.backtest import Wishes, backtest
    from whowas.batch.flow_files import FlowFiles
    from whowas.cli.replay import say_compiling

    loaded = load_rules(rules, told["site"])
    silences = _silences(told["silences"], loaded, rules)
    files = FlowFiles.find(flows)
    wishes = Wishes(told["out"], told["existing"] == "replace", told["level"], told["show"], told["history"])
    say_compiling(told["as_json"])
    with _Bar(wants_progress(False, told["as_json"])) as bar:
        result = backtest(loaded.ruleset, files, wishes, silences, bar.seen)
    if told["as_json"]:
        print_json(result.to_json())
    else:
        _print(result, wishes.history, flows)
    for path, why in result.unreadable[:5]:
        error(f"{path}: {why}")
    ctx.exit(1 if result.unreadable else 0)


def _silences(path: str | None, loaded: Loaded, rules: tuple[str, ...]) -> Silences | None:
    """Load silences; with only some rules at hand, one may also be of a rule of the pack."""
    from detect.judge.silences import Silences

    if path is None:
        return None
    silences = Silences.load(path)
    known = loaded.ruleset.infos()
    if rules:
        known += load_rules((), None).ruleset.infos()
    silences.check(known)
    return silences


class _Bar:
    """One bar over all flows, on a terminal; silent elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        if self._shown:
            self._bar = bars()
            self._bar.start()
            self._task = self._bar.add_task("judging", total=None, read="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def seen(self, seen: Any) -> None:
        """Take the reading's word."""
        if self._bar is not None:
            took = max(self._bar.tasks[self._task].elapsed or 0.0, 1e-3)
            read = f"{seen.consumed:,} flows  {rate(seen.consumed / took)}/s"
            self._bar.update(self._task, completed=seen.consumed, total=seen.total, read=read)


def _print(result: Result, history: str | None, flows: str) -> None:
    screen = console(summary=True)
    found = [one for one in result.rules if one.findings]
    screen.print(
        f"{plural(result.flows, 'flow')} in {plural(result.files, 'file')}   {plural(len(result.rules), 'rule')}   "
        f"{plural(result.findings, 'finding')} of {plural(len(found), 'rule')}   {result.seconds:.1f} s"
    )
    if found:
        _print_table(sorted(found, key=_weight), screen)
    _print_rest(result, screen)
    for one in result.top:
        _print_finding(one, history, flows, screen)
    if result.out is not None:
        screen.print(f"wrote {clean(result.out)}  ({plural(result.findings, 'finding')})")


def _weight(one: RuleCount) -> tuple[int, int, str]:
    return (-LEVELS.index(one.info.level), -one.findings, one.info.name)


def _print_table(counts: list[RuleCount], screen: Any) -> None:
    from rich.text import Text

    rows = [
        (
            one.info.level,
            clean(one.info.name),
            f"{one.findings:,}",
            f"{one.flows:,}",
            between(one.first_us, one.last_us),
            "" if one.cost_ns is None else f"{one.cost_ns:,.0f}",
        )
        for one in counts
    ]
    heads = ("level", "rule", "findings", "flows", "first .. last flow", "ns per flow")
    wide = [max(len(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
    for row in [heads, *rows]:
        cells = [f"{cell:>{wide[n]}}" if n in (2, 3, 5) else f"{cell:<{wide[n]}}" for n, cell in enumerate(row)]
        style = "bold" if row is heads else ""
        told = Text("  ".join(cells).rstrip(), style=style)
        if row is not heads:
            told.stylize(LEVEL_COLOURS[row[0]], 0, len(row[0]))
        screen.print(told)


def _print_rest(result: Result, screen: Any) -> None:
    quiet = sum(not one.findings for one in result.rules)
    dear = max(result.rules, key=lambda one: one.cost_ns or 0.0, default=None)
    told = [f"{plural(quiet, 'rule')} without findings"] if quiet else []
    if result.below:
        told.append(f"{plural(result.below, 'finding')} below --level left out")
    told += [f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(result.counts.items())]
    if result.silences_over:
        told.append(f"expired silences: {', '.join(map(clean, result.silences_over))}")
    if dear is not None and dear.cost_ns:
        told.append(f"slowest rule: {clean(dear.info.name)} ({dear.cost_ns:,.0f} ns per flow)")
    if told:
        screen.print(", ".join(told))


def _print_finding(one: Any, history: str | None, flows: str, screen: Any) -> None:
    from detect.views.remediation import DataLocations
    from detect.views.text import text

    screen.print()
    for line in text(one, DataLocations(history or "HISTORY", flows)).split("\n"):
        screen.print(line)
