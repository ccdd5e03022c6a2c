"""`whowas replay`: captures, flow logs and a history in, named flows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from whowas.cli.memory import keep_memory
from whowas.cli.options import history_option
from whowas.cli.progress import Bars
from whowas.cli.terminal import error, note, print_json, wants_progress

if TYPE_CHECKING:
    from whowas.batch.replay import Choices
    from whowas.stages import FileReport


def _ports(_ctx: click.Context, _param: click.Parameter, value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(value))


@click.command(short_help="Name the flows of captures and flow logs.")
@click.argument("captures", nargs=-1, required=True, metavar="INPUT...")
@history_option()
@click.option(
    "-o", "--out", type=click.Path(file_okay=False), metavar="DIR", required=True, help="Folder for named flows."
)
@click.option("--cluster", metavar="NAME", help="Cluster of the history; also names evidence that says none.")
@click.option("--networks", type=click.Path(), metavar="TOML", help="Names for address ranges outside the cluster.")
@click.option("--identities", type=click.Path(), metavar="TOML", help="Who issues SPIFFE ids, and to which pods.")
@click.option("--vni", multiple=True, metavar="N|any", help="VNIs of the cluster's pod network; repeatable.")
@click.option(
    "--format", "form", type=click.Choice(["parquet", "jsonl", "delta"]), default="parquet", show_default=True
)
@click.option(
    "--existing",
    type=click.Choice(["refuse", "append", "replace", "replace-all"]),
    default="refuse",
    show_default=True,
    help="With flows in DIR: refuse, add, write anew what these INPUTs wrote, or remove all of DIR's flows.",
)
@click.option(
    "--format-in",
    metavar="WORD",
    help="Format of flow logs that are not recognised: docs/formats.md lists them.",
)
@click.option("--timezone", metavar="ZONE", help="Zone in which times without an offset are read, like Europe/Paris.")
@click.option("--fields", metavar="NAMES", help="Columns of flow logs without a header (AWS), in their order.")
@click.option("--dead-letter", type=click.Path(dir_okay=False), metavar="FILE", help="Keep refused records here.")
@click.option("--one-capture", is_flag=True, help="The files are one rotated capture: conversations span them.")
@click.option(
    "--count",
    type=click.Choice(["once", "every"]),
    default="once",
    show_default=True,
    help="What several points of a capture, or several captures, saw is counted so.",
)
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
    "--tunnels",
    metavar="WORDS",
    help="Kinds of tunnel to open, by comma, or none. Default: all that cannot be mistaken (not flannel_udp).",
)
@click.option(
    "--observe",
    metavar="WORDS",
    help="Names to read out of the first packets of conversations, by comma: dns, tls, http; or all. Default: none.",
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
    from whowas import kernels
    from whowas.cli.small_inputs import are_small

    need_history(history)
    if are_small(captures, history):
        kernels.do_without()
    from whowas.batch.replay import replay_captures

    quiet, as_json = told["quiet"], told["as_json"]
    say_compiling(quiet)
    keep_memory()
    with Bars(wants_progress(quiet, as_json)) as bars:
        result = replay_captures(captures, history, out, _choices(told), bars.capture, bars.history)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        from whowas.cli.replay_output import print_summary

        print_summary(result, out)
    if not quiet and not as_json:
        say_unreadable([*result.report.files, *result.evidence.files])
    ctx.exit(0 if result.whole() else 1)


def need_history(history: tuple[str, ...]) -> None:
    """Refuse to name without evidence, and say where it comes from."""
    if not history:
        raise click.UsageError(
            "cannot name without a history: say --history FILE, or set WHOWAS_HISTORY; what stands now is a beginning: "
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
        tunnels=_tunnels(told["tunnels"]),
        count=told["count"],
        observe=_observed(told["observe"]),
        **{name: value for name, value in spans.items() if value is not None},
    )
    naming = NamingOptions(vnis=_vnis(told["vni"]), sensor_skew_seconds=told["sensor_skew"])
    options = RecordOptions(
        timezone=told["timezone"],
        fields=tuple((told["fields"] or "").replace(",", " ").split()),
        tunnel_ports=(*told["vxlan_port"], *told["geneve_port"]),
    )
    records = RecordFiles(told["format_in"], options, told["dead_letter"])
    return Choices(
        told["cluster"], told["networks"], told["form"], told["existing"], packets, records, naming, told["identities"]
    )


def _tunnels(words: str | None) -> tuple[str, ...]:
    """What is opened: the default, or what was said."""
    from ingest.packets.decode import OPENED_BY_DEFAULT

    if words is None:
        return OPENED_BY_DEFAULT
    return tuple(word for word in words.replace(",", " ").split() if word != "none")


def _observed(words: str | None) -> tuple[str, ...]:
    """Which names are read; in one order, whatever was said."""
    from ingest.packets.observing import WATCHES

    said = (words or "").replace(",", " ").split()
    if "all" in said:
        return tuple(WATCHES)
    return tuple(sorted({word for word in said if word != "none"}))


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
    from whowas.kernels import needs_compiling, why_not_cached

    if needs_compiling() and not quiet:
        why = why_not_cached()
        note(f"compiling kernels, some seconds, {f'at every run: {why}' if why else 'only this once'}")


def say_unreadable(files: list[FileReport]) -> None:
    """Name each place that could not be read, on standard error."""
    for one in files:
        for bad in one.unreadable[:5]:
            error(bad.of(one.path))
        if len(one.unreadable) > 5:
            error(f"{one.path}: {len(one.unreadable) - 5:,} more; --json lists all")
