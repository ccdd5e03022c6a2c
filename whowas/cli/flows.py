"""`whowas flows`: named flows by words, for those who write no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import flows_option
from whowas.cli.terminal import error, print_json, print_text

if TYPE_CHECKING:
    from whowas.query.filters import Filter
    from whowas.query.when import When

WORDS = {
    "src": ("END", "Who opened: shop/web, deploy/shop/web, node/NAME, an address or a range; :PORT behind it."),
    "dst": ("END", "Who accepted, likewise: data/db:5432, 10.0.0.0/8, :443."),
    "end": ("END", "Either of the two."),
    "ip": ("CIDR", "Either end's address, or the range it is in."),
    "port": ("PORT", "Either end's port: 443, 8000-8100."),
    "protocol": ("NAME", "tcp, udp, icmp… or an IANA number."),
    "kind": ("KIND", "What held an end's address: pod, service, node, external."),
    "confidence": ("WORD", "How sure an end's name is: exact, likely, ambiguous…"),
    "label": ("KEY=VALUE", "A label of either end, as it was then: app=web."),
    "namespace": ("NAME", "Either end's namespace."),
    "node": ("NAME", "Either end's node."),
    "cluster": ("NAME", "Whose history named the flow."),
    "where": ("FIELD=VALUE", "Any column, or src_labels.KEY, as rules have them: tls_sni=*.example.com."),
}


def _words(command: Any) -> Any:
    """Add an option for each word of a filter."""
    for word, (what, told) in reversed(WORDS.items()):
        command = click.option(f"--{word}", multiple=True, metavar=what, help=told)(command)
    return command


@click.command(short_help="Show named flows by words, without SQL.")
@flows_option(multiple=True)
@_words
@click.option("--external/--internal", default=None, help="An end outside of the cluster, or none.")
@click.option(
    "--not", "left_out", multiple=True, metavar="WORD=VALUE", help="Leave out: dst=kube-system/coredns, port=53."
)
@click.option("--since", metavar="TIME", help="From this time on, or for so long: 2h, 1d12h.")
@click.option("--until", metavar="TIME", help="Before this time, or so long ago.")
@click.option("--at", metavar="TIME", help="Under way at this moment, within a second.")
@click.option("--top", metavar="COLUMNS", help="The greatest groups instead: src_workload,dst_workload,dst_port.")
@click.option(
    "--by", type=click.Choice(["bytes", "flows", "packets"]), default="bytes", show_default=True, help="What is great."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Rows shown.")
@click.option("--noise", is_flag=True, help="Show multicast, broadcast and link-local discovery too.")
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone in which times are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL behind it, for whowas query.")
@click.pass_context
def command(ctx: click.Context, /, **told: Any) -> None:
    """Show named flows: the newest that the words leave, or the top of them.

    \b
    Example:
      whowas flows --flows named --src shop/web --dst data/db:5432 --since 2h

    A word said again is an alternative; different words must all hold. A name is NAMESPACE/NAME, with * for any
    text, or KIND/NAMESPACE/NAME, or NAME alone. It finds ends that may have been meant too: they are marked ?.
    A time has a zone (2026-11-20T10:15:02Z). A span counts back from now, or from the last flow of an old folder.
    """
    from whowas.query import flow_list
    from whowas.query.database import Database
    from whowas.query.filters import every

    if sum(told[form] for form in ("as_json", "as_csv", "as_sql")) > 1:
        raise click.UsageError("--json, --csv and --sql do not go together: choose one")
    wanted = _wanted(told)
    grouped = flow_list.keys(told["top"]) if told["top"] is not None else []
    with Database(told["flows"], told["tz"]) as database:
        database.lock()
        when = _when(told, flow_list.last_us(database) if _has_span(told) else None)
        wanted = every([wanted, when.filter()])
        shown = wanted if told["noise"] else flow_list.without_noise(wanted)
        if grouped:
            asked, names = flow_list.top(shown, grouped, told["by"], told["limit"])
        else:
            asked, names = flow_list.newest(shown, told["limit"]), list(flow_list.SHOWN)
        if told["as_sql"]:
            print_text(flow_list.written_out(asked))
        else:
            found = database.table(asked).rename_columns(names)
            _print(told, found, None if told["as_csv"] else flow_list.summary(database, wanted, told["noise"]), when)
    for path, why in database.unreadable[:5]:
        error(f"{path}: {why}")
    ctx.exit(1 if database.unreadable else 0)


def _wanted(told: dict[str, Any]) -> Filter:
    from whowas.query.filter_words import Word, parse, parse_negated

    words = [Word(word, value) for word in WORDS for value in told[word]]
    if told["external"] is not None:
        words.append(Word("external", str(told["external"]).lower()))
    return parse([*words, *map(parse_negated, told["left_out"])])


def _has_span(told: dict[str, Any]) -> bool:
    from whowas.query.when import span_us

    return any(told[name] is not None and span_us(told[name]) is not None for name in ("since", "until"))


def _when(told: dict[str, Any], last_us: int | None) -> When:
    from whowas.query import flow_list, when

    return when.parse(told["since"], told["until"], told["at"], flow_list.now_us(), last_us)


def _print(told: dict[str, Any], found: Any, counted: Any, when: When) -> None:
    from whowas.cli.flow_table import print_flows, print_top
    from whowas.cli.rows import print_csv, values

    rows: Sequence[dict[str, Any]] = [
        dict(zip(found.column_names, row, strict=True)) for row in values(found.to_batches())
    ]
    if told["as_csv"]:
        kept = [name for name in found.column_names if name != "groups"]
        print_csv(kept, ([row[name] for name in kept] for row in rows))
    elif told["as_json"]:
        print_json(_json(told, rows, counted, when))
    elif told["top"] is not None:
        print_top(told, rows, counted, when)
    else:
        print_flows(told, rows, counted, when)


def _json(told: dict[str, Any], rows: Sequence[dict[str, Any]], counted: Any, when: When) -> dict[str, Any]:
    """The answer with stable keys. Times of the question are UTC."""
    from whowas.timestamps import rfc3339

    def moment(us: int | None) -> str | None:
        return None if us is None else rfc3339(us)

    answer: dict[str, Any] = {
        "since": moment(when.low),
        "until": moment(when.high),
        "at": moment(when.at),
        "counted_back_from_last_flow": moment(when.from_last),
        "matched": counted.flows,
        "noise_left_out": counted.noise,
        "bytes": counted.bytes,
        "first_time": moment(counted.first_us),
        "last_time": moment(counted.last_us),
        "ends_by_confidence": counted.in_order(),
    }
    if told["top"] is None:
        return answer | {"flows": list(rows)}
    kept = [{name: value for name, value in row.items() if name != "groups"} for row in rows]
    return answer | {"by": told["by"], "groups": rows[0]["groups"] if rows else 0, "top": kept}
