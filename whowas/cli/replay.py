"""`whowas replay`: captures, flow logs and a history in, named flows out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.terminal import COLOURS, bars, between, clean, console, plural, print_json, rate, size, wants_progress
from whowas.schema import CONFIDENCES

# Of malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

if TYPE_CHECKING:
    from whowas.batch.replay import Choices, Result
    from whowas.stages import FileReport


def _ports(_ctx: click.Context, _param: click.Parameter, value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(value))


@click.command(short_help="Name the flows of captures and flow logs.")
@click.argument("captures", nargs=-1, required=True, metavar="INPUT...")
@click.option("-H", "--history", multiple=True, metavar="HISTORY", help="Evidence: files, folders, globs.")
@click.option("-o", "--out", type=click.Path(file_okay=False), metavar="DIR", required=True, help="Where flows go.")
@click.option("--cluster", metavar="NAME", help="Which cluster of the history; names evidence that says none.")
@click.option("--networks", type=click.Path(), metavar="TOML", help="Names for address ranges outside the cluster.")
@click.option("--vni", multiple=True, metavar="N|any", help="VNIs of the cluster's pod network; repeatable.")
@click.option("--format", "form", type=click.Choice(["parquet", "jsonl"]), default="parquet", show_default=True)
@click.option(
    "--existing",
    type=click.Choice(["refuse", "append", "replace"]),
    default="refuse",
    show_default=True,
    help="What to do with flows that an earlier run left in DIR.",
)
@click.option(
    "--format-in", metavar="WORD", help="What flow logs are, where recognising fails: docs/formats.md has the words."
)
@click.option("--timezone", metavar="ZONE", help="Of times without an offset in flow logs, like Europe/Paris.")
@click.option("--fields", metavar="NAMES", help="Columns of flow logs without a header (AWS), in their order.")
@click.option("--dead-letter", type=click.Path(dir_okay=False), metavar="FILE", help="Keep refused records here.")
@click.option("--one-capture", is_flag=True, help="The files are one rotated capture: conversations span them.")
@click.option(
    "--vxlan-port",
    multiple=True,
    type=click.IntRange(1, 65535),
    default=(4789, 8472),
    show_default=True,
    callback=_ports,
)
@click.option(
    "--geneve-port", multiple=True, type=click.IntRange(1, 65535), default=(6081,), show_default=True, callback=_ports
)
@click.option(
    "--idle-timeout", type=click.FloatRange(min=0.001), metavar="SECONDS", help="Silence that ends a conversation."
)
@click.option(
    "--active-timeout",
    type=click.FloatRange(min=0.001),
    metavar="SECONDS",
    help="Length at which a conversation is cut.",
)
@click.option(
    "--sensor-skew",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How far the capturing clock may be off.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, no progress.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def command(ctx: click.Context, /, captures: tuple[str, ...], history: tuple[str, ...], out: str, **told: Any) -> None:
    """Name the flows of captures and flow logs by who held each address at that moment.

    \b
    Example:
      whowas replay samples/overlay/node1-bridge.pcap \\
          --history samples/overlay/history.jsonl.gz --out named

    INPUT is a pcap or pcapng file or a flow log (Zeek, Suricata, goflow2, NetObserv, Hubble, AWS, GCP, Azure,
    pmacct, nfdump), plain or compressed (gzip, zstd, lz4, xz), a folder, a glob, or - for standard input.
    HISTORY is evidence: watch events as lines, kubectl watch dumps, kubectl lists.
    """
    from whowas.batch.replay import replay_captures

    need_history(history)
    quiet, as_json = told["quiet"], told["as_json"]
    say_compiling(quiet)
    _use_system_allocator()
    with Bars(wants_progress(quiet, as_json)) as bars:
        result = replay_captures(captures, history, out, _choices(told), bars.capture, bars.history)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        _print(result, out)
    if not quiet and not as_json:
        say_unreadable([*result.report.files, *result.evidence.files])
    ctx.exit(0 if result.whole() else 1)


def need_history(history: tuple[str, ...]) -> None:
    """Refuse to name without evidence, and say where it comes from."""
    if not history:
        raise click.UsageError(
            "cannot name without a history: say --history FILE; what stands now is a beginning: "
            "kubectl get pods,services,nodes,endpointslices,replicasets,jobs -A -o json > now.json "
            "(docs/how-to/evidence.md tells the better ways)"
        )


def _choices(told: dict[str, Any]) -> Choices:
    """Turn options into what the pipeline takes; what is not said keeps its default."""
    from enrich import NamingOptions
    from ingest.packets import PacketOptions
    from ingest.records import RecordFiles, RecordOptions
    from whowas.batch.replay import Choices

    spans = {name: told[name.removesuffix("_seconds")] for name in ("idle_timeout_seconds", "active_timeout_seconds")}
    packets = PacketOptions(
        vxlan_ports=told["vxlan_port"],
        geneve_ports=told["geneve_port"],
        continuous=told["one_capture"],
        **{name: value for name, value in spans.items() if value is not None},
    )
    naming = NamingOptions(vnis=_vnis(told["vni"]), sensor_skew_seconds=told["sensor_skew"])
    options = RecordOptions(
        timezone=told["timezone"],
        fields=tuple((told["fields"] or "").replace(",", " ").split()),
        tunnel_ports=(*told["vxlan_port"], *told["geneve_port"]),
    )
    records = RecordFiles(told["format_in"], options, told["dead_letter"])
    return Choices(told["cluster"], told["networks"], told["form"], told["existing"], packets, records, naming)


def _vnis(words: tuple[str, ...]) -> Any:
    """None: not said; "any"; or a tuple of numbers."""
    if not words:
        return None
    if "any" in words:
        return "any"
    for word in words:
        if not (word.isascii() and word.isdecimal()) or int(word) >= 1 << 24:
            raise click.BadParameter(f"'{word}' is no VNI; say a number below 16777216, or any", param_hint="--vni")
    return tuple(int(word) for word in words)


def say_compiling(quiet: bool) -> None:
    """Tell once that the first use takes longer, and why."""
    from whowas.kernels import cached, needs_compiling

    if needs_compiling() and not quiet:
        again = "only this once" if cached() else "at every run: no cache folder can be written"
        click.echo(f"whowas: compiling kernels, some seconds, {again}", err=True)


def _use_system_allocator() -> None:
    """Keep memory once it is ours: to give pages back and fault them in again costs more than the work on them."""
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):  # glibc has it, others may not
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, 32 << 20)
        mallopt(TRIM_THRESHOLD, 512 << 20)


class Bars:
    """One bar an input, on a terminal; silent elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._tasks: dict[str, Any] = {}
        self._bars: Any = None

    def __enter__(self) -> Bars:
        if self._shown:
            self._bars = bars()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            for task in self._bars.task_ids:
                known = self._bars.tasks[task].total
                self._bars.update(task, completed=known or 1, total=known or 1)
            self._bars.stop()

    def _show(self, path: str, consumed: int, total: int, read: Callable[[float], str]) -> None:
        if self._bars is None:
            return
        if path not in self._tasks:
            for older in self._tasks.values():
                self._bars.update(older, completed=self._bars.tasks[older].total)
            name = clean(os.path.basename(path)) if path != "-" else "standard input"
            self._tasks[path] = self._bars.add_task(name, total=total or None, read="")
        task = self._bars.tasks[self._tasks[path]]
        self._bars.update(self._tasks[path], completed=consumed, read=read(max(task.elapsed or 0.0, 1e-3)))

    def capture(self, seen: Any) -> None:
        """Take the reading room's word on a capture."""
        self._show(
            seen.path,
            seen.consumed,
            seen.total,
            lambda took: f"{size(seen.consumed)}  {_progressed(seen, took)}/s",
        )

    def history(self, seen: Any) -> None:
        """Take the reading room's word on evidence."""
        self._show(seen.path, seen.consumed, seen.total, lambda _took: size(seen.consumed))


def _progressed(seen: Any, took: float) -> str:
    """What was read so far of the run, and how fast: of a flow log records, else packets."""
    number, what = (seen.records, "records") if seen.records else (seen.packets, "packets")
    return f"{number:,} {what}  {rate(number / took)}"


def _print(result: Result, out: str) -> None:
    told, screen = result.to_json(), console()
    _print_read(result, screen)
    if result.summary.rows:
        _print_answers(told["answers"], screen)
        _print_times(result, told["answers"], screen)
    _print_top(told["top"], screen)
    _print_end(result, out, screen)


def _print_read(result: Result, screen: Any) -> None:
    """What went in: packets, records, or both; and what was refused, by reason."""
    report, seconds = result.report, result.seconds
    took = max(seconds["flows"], 1e-3)
    refused = report.refused + report.refused_records
    parts, speeds = [], []
    if report.packets or not report.records:
        parts += [plural(report.packets, "packet"), plural(report.conversations, "conversation")]
        speeds.append(f"{rate(report.packets / took)} packets/s")
    if report.records:
        parts += [plural(report.records, "record"), plural(report.record_flows, "flow")]
        speeds.append(f"{rate(report.records / took)} records/s")
    screen.print(
        f"{'   '.join(parts)}   {size(result.summary.bytes)} of traffic   {sum(refused.values()):,} refused   "
        f"{seconds['flows']:.1f} s + {seconds['history']:.1f} s history   {', '.join(speeds)}"
    )
    for title, counts in (("refused", refused), ("no flow in", report.skipped)):
        if counts:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
            screen.print(f"{title:<12} {reasons}")
    for one in report.files:
        for bad in one.refused[:3]:
            screen.print(f"             {clean(one.path)} record {bad.number:,}: {bad.reason}")


def _print_answers(answers: dict[str, dict[str, int]], screen: Any) -> None:
    from rich.text import Text

    counts = {word: sum(side[word] for side in answers.values()) for word in CONFIDENCES}
    total = sum(counts.values())
    line = Text("ends named   ")
    for word, count in counts.items():
        if count:
            line.append(word, style=COLOURS[word]).append(f" {count:,} ({100 * count / total:.1f} %)  ")
    screen.print(line)


def _print_times(result: Result, answers: dict[str, dict[str, int]], screen: Any) -> None:
    """Where most is unknown, the capture and the history are likely of different times: say both."""
    if sum(side["unknown"] for side in answers.values()) < result.summary.rows:
        return
    screen.print(f"times        flows {between(result.summary.first_us, result.summary.last_us)}")
    spans = [between(*one) for one in result.watched]
    more = f" and {len(spans) - 3} more" if len(spans) > 3 else ""
    screen.print(
        f"             history watched {', '.join(spans[:3]) or 'never: its events have no times of receipt'}{more}"
    )


def _print_top(top: list[dict[str, Any]], screen: Any) -> None:
    if not top:
        return
    rows = []
    for one in top[:5]:
        port = f":{one['dst_port']}" if one["dst_port"] is not None else ""
        pair = f"{clean(one['src'])} -> {clean(one['dst'])} {one['protocol']}{port}"
        rows.append((pair, f"{one['conversations']:,}", size(one["bytes"])))
    wide = max(len(pair) for pair, _, _ in rows)
    for number, (pair, count, amount) in enumerate(rows):
        title = "top talkers" if number == 0 else ""
        screen.print(f"{title:<12} {pair:<{wide}}  {count:>8} conv.  {amount:>9}")


def _print_end(result: Result, out: str, screen: Any) -> None:
    if not result.files:
        screen.print("wrote nothing: no packet held an IP conversation, no record a flow")
        return
    shown = clean(out)
    screen.print(f"wrote {shown}  ({plural(len(result.files), 'file')}, {size(result.bytes_written)})")
    if result.files[0].endswith(".parquet"):
        screen.print(f'try: whowas query "FROM flows LIMIT 5" --flows {shown}')


def say_unreadable(files: list[FileReport]) -> None:
    """Name each place that could not be read, on standard error."""
    for one in files:
        for bad in one.unreadable[:5]:
            click.echo(f"whowas: {clean(one.path)} at byte {bad.offset:,}: {clean(bad.reason)}", err=True)
        if len(one.unreadable) > 5:
            click.echo(f"whowas: {clean(one.path)}: {len(one.unreadable) - 5:,} more; --json lists all", err=True)
