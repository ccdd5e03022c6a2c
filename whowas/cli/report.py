"""`whowas report`: one file for a ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import flows_option, history_option
from whowas.cli.terminal import echo, error, plural, print_json, size
from whowas.errors import OutputError

if TYPE_CHECKING:
    from whowas.workbench.api.common import TimeRange


@click.command(short_help="Write one file for a ticket: flows, names, findings, how sure, what was not seen.")
@flows_option()
@history_option()
@click.option("--findings", type=click.Path(), metavar="FILE|DIR", help="What backtest --out or a stream wrote.")
@click.option("--finding", metavar="UID", help="About this finding: its sources, 15 minutes before and after.")
@click.option("--filter", "words", default="", metavar="WORDS", help='As the page\'s filter: "src=shop/web port=443".')
@click.option("--since", metavar="TIME", help="From this time on, or for so long: 2h, 1d12h.")
@click.option("--until", metavar="TIME", help="Before this time, or so long ago.")
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="The file: report.html."
)
@click.option("--pdf", "as_pdf", is_flag=True, help="Print it as PDF beside (report.pdf); wants Chromium.")
@click.option(
    "--existing", type=click.Choice(["fail", "replace"]), default="fail", show_default=True, help="If FILE exists."
)
@click.option("--cache", type=click.Path(), metavar="DIR", help="Where roll-ups are kept. [default: ~/.cache/whowas]")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
@click.pass_context
def command(ctx: click.Context, /, **told: Any) -> None:
    """Write a report: one file without script that opens from disk in any browser, and needs no network.

    \b
    Example:
      whowas report --flows named --history samples/overlay/history.jsonl.gz -o report.html

    Exit code 1 says that something was unreadable; the report names it. SOURCE_DATE_EPOCH sets the time of making:
    then the same input gives the same bytes.
    """
    from whowas.workbench.report import Sources, Wish, pdf, report, write
    from whowas.workbench.rollups import default_cache

    if told["finding"] and not told["findings"]:
        raise click.UsageError("--finding wants --findings: the file that holds it")
    out = Path(told["out"])
    printed = out.with_suffix(".pdf") if told["as_pdf"] else None
    _refuse(out, printed, told["existing"] == "replace")
    if printed is not None:
        pdf.browser()
    cache = Path(told["cache"]) if told["cache"] else default_cache()
    sources = Sources(told["flows"], cache, told["history"], told["findings"])
    page, made = report(sources, Wish(told["words"], told["finding"] or "", _span(told)))
    write(page, out)
    if printed is not None:
        pdf.write(out, printed)
    written = [str(one) for one in (out, printed) if one is not None]
    if told["as_json"]:
        print_json({"written": written, "bytes": len(page.encode()), "flows": made.flows, "missing": made.missing})
    else:
        echo(f"wrote {' and '.join(written)}  ({size(len(page.encode()))}, of {plural(made.flows, 'flow')})")
    for one in [*(f"{path}: {why}" for path, why in made.status.unreadable), *made.damaged, *made.unread][:5]:
        error(one)
    ctx.exit(1 if made.unreadable else 0)


def _refuse(out: Path, printed: Path | None, replace: bool) -> None:
    """Nothing is written over by mistake, and no report in the place of its own PDF."""
    if out == printed:
        raise click.UsageError("-o and --pdf name the same file: give -o a name that ends with .html")
    for one in (out, printed):
        if one is not None and one.exists() and not replace:
            raise OutputError(f"cannot write '{one}': it exists; choose another name or say --existing replace")


def _span(told: dict[str, Any]) -> TimeRange | None:
    """The range, None where no word says one. A side that is open reaches to the end of time."""
    from whowas.query import flow_list, when
    from whowas.query.database import Database
    from whowas.timestamps import AFTER_ALL, BEFORE_ALL
    from whowas.workbench.api.common import TimeRange

    words = (told["since"], told["until"])
    if words == (None, None):
        return None
    last = None
    if any(one is not None and when.span_us(one) is not None for one in words):
        with Database(told["flows"], "UTC") as database:
            database.lock()
            last = flow_list.last_us(database)
    found = when.parse(*words, None, flow_list.now_us(), last)
    low, high = found.low, found.high
    return TimeRange(BEFORE_ALL if low is None else low, AFTER_ALL if high is None else high)
