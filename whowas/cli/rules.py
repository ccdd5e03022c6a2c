"""`whowas rules`: list, check, test and explain rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.terminal import clean, console, echo, plural, print_json, print_text
from whowas.errors import ConfigError

if TYPE_CHECKING:
    from detect.model import Correlation, FlowRule
    from detect.sigma import Loaded
    from whowas.batch.rule_tests import CaseResult

LEVEL_COLOURS = {"informational": "cyan", "low": "blue", "medium": "yellow", "high": "red", "critical": "bold red"}
RULES = click.option(
    "-r",
    "--rules",
    multiple=True,
    metavar="DIR",
    help="Rule files or folders; `pack` is the set that comes with whowas, and the default.",
)
SITE = click.option("--site", type=click.Path(), metavar="TOML", help="Your own lists, for the rules' %placeholders%.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


@click.group(short_help="List, check, test and explain rules.")
def command() -> None:
    """Look after rules on named flows, which are Sigma: list, check, test on their own cases, explain as SQL.

    \b
    Example:
      whowas rules explain ssh_to_node

    docs/how-to/rules.md tells how to write one.
    """


def load_rules(rules: tuple[str, ...], site: str | None) -> Loaded:
    """Load rules for use. Raises: ConfigError that names each that cannot be honoured."""
    from detect.pack import rule_paths
    from detect.sigma import load
    from detect.site import load_site

    return load(rule_paths(rules), load_site(site))


@command.command(name="list")
@RULES
@SITE
@JSON
def list_(rules: tuple[str, ...], site: str | None, as_json: bool) -> None:
    """List rules with their level and what they look at.

    \b
    Example:
      whowas rules list
    """
    from rich.text import Text

    found = sorted(_heard(load_rules(rules, site)), key=lambda one: one.info.name)
    if as_json:
        print_json([_told(one) for one in found])
        return
    screen = console()
    rows = [(one.info.level, clean(one.info.name), _kind(one), clean(one.info.title)) for one in found]
    wide = [max([len(row[n]) for row in rows], default=0) for n in range(4)]
    for row in rows:
        line = Text("  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())
        line.stylize(LEVEL_COLOURS[row[0]], 0, len(row[0]))
        screen.print(line)
    screen.print(plural(len(rows), "rule"))


def _heard(loaded: Loaded) -> list[FlowRule | Correlation]:
    """Rules that make findings."""
    return [*(one for one in loaded.ruleset.rules if not one.silent), *loaded.ruleset.correlations]


def _kind(one: FlowRule | Correlation) -> str:
    from whowas.batch.backtest import kind

    return kind(one)


def _told(one: FlowRule | Correlation) -> dict[str, Any]:
    info = one.info
    return {
        "id": info.id,
        "name": info.name,
        "title": info.title,
        "level": info.level,
        "kind": _kind(one),
        "attacks": list(info.attacks),
        "description": info.description,
        "false_positives": list(info.false_positives),
        "about": info.about,
        "group_by": list(info.group_by),
        "window_seconds": info.window_us / 1e6,
        "path": info.path,
        "line": info.line,
    }


@command.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")
@SITE
@JSON
@click.pass_context
def check(ctx: click.Context, paths: tuple[str, ...], site: str | None, as_json: bool) -> None:
    """Say whether rules can be used: each refusal with file, line and what to do. Exit code 1 if one cannot.

    \b
    Example:
      whowas rules check pack
    """
    from detect.pack import rule_paths
    from detect.sigma import load
    from detect.site import load_site

    found = load(rule_paths(paths), load_site(site), strict=False)
    rules, correlations = len(found.ruleset.rules), len(found.ruleset.correlations)
    if as_json:
        refused = [
            {"path": one.path, "line": one.line, "rule": one.rule, "cause": one.cause, "what_to_do": one.advice}
            for one in found.refusals
        ]
        print_json({"rules": rules, "correlations": correlations, "cases": len(found.cases), "refused": refused})
    else:
        for refusal in found.refusals:
            echo(refusal)
        verdict = f"{len(found.refusals):,} refused" if found.refusals else "sound"
        parts = plural(rules, "rule"), plural(correlations, "correlation"), plural(len(found.cases), "test case")
        echo(f"{parts[0]} on flows, {parts[1]}, {parts[2]}: {verdict}")
    ctx.exit(1 if found.refusals else 0)


@command.command()
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...")
@SITE
@JSON
@click.pass_context
def test(ctx: click.Context, paths: tuple[str, ...], site: str | None, as_json: bool) -> None:
    """Run each rule's own test cases; without FILE those of the pack. Exit code 1 if one fails.

    \b
    Example:
      whowas rules test
    """
    from whowas.batch.rule_tests import try_cases

    loaded = load_rules(paths, site)
    tried = list(try_cases(loaded.ruleset, loaded.cases))
    untried = sorted({one.info.name for one in _heard(loaded)} - {one.case.rule for one in tried})
    wrong = [one for one in tried if not one.right]
    if as_json:
        print_json({"cases": len(tried), "wrong": [_wrong(one) for one in wrong], "without_cases": untried})
    else:
        _print_tried(tried, wrong, untried)
    ctx.exit(1 if wrong else 0)


def _wrong(one: CaseResult) -> dict[str, Any]:
    case = one.case
    wanted = "match" if case.matches else "ignore"
    return {
        "rule": case.rule,
        "case": case.title,
        "wanted": wanted,
        "path": case.path,
        "line": case.line,
        "fault": one.fault,
        "why": one.why,
    }


def _print_tried(tried: list[CaseResult], wrong: list[CaseResult], untried: list[str]) -> None:
    for one in wrong:
        case = one.case
        echo(f"{case.path}:{case.line}: {case.rule}: {case.title}: {one.fault}")
        for line in one.why:
            echo(f"    {line}")
    rules = len({one.case.rule for one in tried})
    right = "all pass" if not wrong else f"{len(wrong):,} fail"
    echo(f"{plural(len(tried), 'case')} of {plural(rules, 'rule')}: {right}")
    if untried:
        echo(f"without cases: {', '.join(untried)}")


@command.command()
@click.argument("rule")
@RULES
@SITE
def explain(rule: str, rules: tuple[str, ...], site: str | None) -> None:
    """Print the SQL that finds a rule's flows, for `whowas query`. RULE is a name or an id.

    \b
    Example:
      whowas rules explain horizontal_scan

    whowas query "$(whowas rules explain ssh_to_node)" --flows named
    """
    from detect.sigma import explain as sql_of

    ruleset = load_rules(rules, site).ruleset
    every: tuple[FlowRule | Correlation, ...] = (*ruleset.rules, *ruleset.correlations)
    known = {key: one for one in every for key in (one.info.id, one.info.name)}
    if rule not in known:
        raise ConfigError(f"cannot explain rule '{rule}': there is none of that name; {_near(rule, known)}")
    one = known[rule]
    print_text(sql_of(one, ruleset.rules))
    # At the end: as the first word of `whowas query` a comment would look like an option.
    echo(f"-- {one.info.title} ({one.info.name}, {one.info.level})")


def _near(rule: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(rule, known, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "'whowas rules list' names them"
