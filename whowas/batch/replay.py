"""Replays captures and logs: read, name, write, commit."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from enrich import Namer, NamingOptions, load_issuers, load_networks
from enrich.naming.flow_namer import SecondNetworkError
from ingest.cluster import EvidenceReport
from ingest.files import find_inputs
from ingest.packets import PacketOptions
from ingest.progress import Progress
from ingest.records.files.beginnings import RecordFiles
from sinks.files.output_folder import EXISTING, Run
from sinks.flows.delta import DeltaFolder
from sinks.flows.jsonl import JsonlSink
from sinks.flows.memory import MemorySink
from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.batch.hints import Hint, hints
from whowas.batch.inputs import MixedSource
from whowas.batch.summary import Summary, as_json
from whowas.errors import ConfigError, OutputError, UnreadableWarning
from whowas.history.evidence_files import Paths, find_evidence, listed
from whowas.policy.flow_columns import PolicyNamer
from whowas.policy.loading import Known, load
from whowas.policy.meshes import mesh_of
from whowas.side_threads import closed
from whowas.stages import Enricher, Report, Sink, Source
from whowas.timestamps import rfc3339
from whowas.version import __version__

FORMATS = ("parquet", "jsonl", "delta")


@dataclass(frozen=True)
class Result:
    """What a replay did. `table` is None when flows went to files."""

    summary: Summary
    report: Report
    evidence: EvidenceReport
    seconds: dict[str, float]
    watched: tuple[tuple[int, int], ...] = ()
    files: list[str] = field(default_factory=list)
    bytes_written: int = 0
    table: Any = None

    def whole(self) -> bool:
        """Say whether all that captures, flow logs and evidence hold was read."""
        return self.report.whole() and self.evidence.whole()

    def hints(self) -> list[Hint]:
        """Return which options would name what has no name."""
        return hints(self.summary.missing, self.report, self.summary.first_us, self.summary.last_us)

    def to_json(self) -> dict[str, Any]:
        """The object that `whowas replay --json` prints."""
        history = self.evidence.to_json() | {"watched": [list(map(rfc3339, one)) for one in self.watched]}
        written = {
            "history": history,
            "hints": [one.to_json() for one in self.hints()],
            "written": {"files": self.files, "bytes": self.bytes_written},
        }
        return as_json(self.summary, self.report, self.seconds, written)


def run(source: Source, enricher: Enricher, sink: Sink, seen: Callable[[Any], None]) -> None:
    """Move every flow from source to sink. The order of the steps is the promise that nothing is lost.

    1. check: refuse what could not be finished. 2. read. 3. name. 4. write. 5. close, which flushes:
    on return all is durable. 6. commit: only now may the source forget.
    """
    last = None
    try:
        sink.check()
        with closed(source.batches()) as batches:
            for flows, position in batches:
                named = enricher.name(flows)
                seen(named)
                sink.write(named)
                last = position
        sink.close()
    except BaseException:
        sink.abandon()
        raise
    if last is not None:
        source.commit(last)


def run_names(captures: Sequence[str], history: Sequence[str], choices: Sequence[object]) -> list[str]:
    """Name a run by what goes in: the same input gives the same names of files, on any machine. One for each choice."""
    told = [hashlib.sha256(f"{__version__} {one}".encode()) for one in choices]
    for path in [*captures, "|", *history]:
        known = os.path.isfile(path)
        parts = [f"{os.path.basename(path)}:{os.path.getsize(path) if known else 0}\n".encode()]
        # What cannot be read is told when it is to be read.
        with contextlib.suppress(OSError):
            if known:
                with open(path, "rb") as handle:
                    parts.append(handle.read(1 << 16))
        for one in told:
            for part in parts:
                one.update(part)
    return [one.hexdigest()[:12] for one in told]


@dataclass(frozen=True)
class Choices:
    """Everything a replay can be told, beside what to read. Names are those of the command line."""

    cluster: str | None = None
    networks: str | None = None
    format: str = "parquet"
    existing: str = "refuse"
    packets: PacketOptions = field(default_factory=PacketOptions)
    records: RecordFiles = field(default_factory=RecordFiles)
    naming: NamingOptions = field(default_factory=NamingOptions)
    identities: str | None = None


def _run(captures: Sequence[str], history: Sequence[str], choices: Choices) -> Run:
    """Say what this run is known by. What becomes of an earlier run's files is no part of it, as it once was."""
    told = asdict(choices)
    if not all(os.path.isfile(path) for path in captures):
        # Nobody can tell whether what comes through a pipe came before.
        told["once"] = os.urandom(8)
    words = ("refuse", "append", "replace")
    name, *former = run_names(captures, history, [told | {"existing": word} for word in words])
    return Run(name, captures, tuple(former))


def _sink(out: str | None, run: Run, choices: Choices) -> Sink:
    if choices.existing not in EXISTING:
        raise ConfigError(f"cannot use existing '{choices.existing}': unknown word; say one of {', '.join(EXISTING)}")
    if out is None:
        return MemorySink()
    if choices.format == "parquet":
        return ParquetSink(out, run, ParquetOptions(existing=choices.existing))
    if choices.format == "delta":
        return ParquetSink(out, run, ParquetOptions(existing=choices.existing), DeltaFolder)
    if choices.format == "jsonl":
        return JsonlSink(out, run, choices.existing)
    raise ConfigError(f"cannot write format '{choices.format}': unknown word; say one of {', '.join(FORMATS)}")


def _naming(choices: Choices) -> NamingOptions:
    told = {one.name: getattr(choices.naming, one.name) for one in fields(NamingOptions)}
    if choices.cluster is not None:
        told["cluster"] = choices.cluster
    if choices.networks is not None:
        told["networks"] = load_networks(choices.networks)
    if choices.identities is not None:
        told["issuers"] = load_issuers(choices.identities)
    return NamingOptions(**told)


def _refuse_early(sink: Sink) -> None:
    """Say that a folder cannot be written to before a history is read, which may take a while."""
    try:
        sink.check()
    finally:
        sink.abandon()


def _refuse_overwriting(path: str | None) -> None:
    """Refused records of an earlier run are not to be lost."""
    if path is not None and os.path.exists(path) and not os.path.samefile(path, os.devnull):
        raise OutputError(f"cannot keep refused records in '{path}': it is there already; move it or name another")


@dataclass(frozen=True)
class Reader:
    """What it takes to read and name inputs, once or again."""

    known: Known
    naming: NamingOptions
    choices: Choices
    progress: Callable[[Progress], None] | None

    def pass_over(self, paths: Sequence[str], sink: Sink, naming: NamingOptions, again: bool) -> Any:
        """Read all inputs into a sink. Returns: source and summary."""
        source, summary = MixedSource(paths, self.choices.packets, self.choices.records, self.progress), Summary()
        namer = Namer(self.known.history, naming, again=again)
        cluster = namer.history.name
        judging = PolicyNamer(namer, self.known.timeline(cluster), mesh_of(namer.options.issuers, cluster))
        run(source, judging, sink, summary.add)
        return source, summary


def _replayed(paths: Sequence[str], reader: Reader, new_sink: Callable[[], Sink]) -> tuple[Any, Summary, Sink]:
    """Read and name; when a second VNI comes up too late, take back what was called certain and begin again."""
    sink = new_sink()
    try:
        again = all(os.path.isfile(path) for path in paths)
        return (*reader.pass_over(paths, sink, reader.naming, again), sink)
    except SecondNetworkError:
        sink = new_sink()
        return (*reader.pass_over(paths, sink, replace(reader.naming, vnis="several"), False), sink)


def replay_captures(
    captures: Paths,
    history: Paths,
    out: str | None = None,
    choices: Choices | None = None,
    progress: Callable[[Progress], None] | None = None,
    history_progress: Callable[[Any], None] | None = None,
) -> Result:
    """Replay captures and flow logs against a history; with `out` to files, else to a table in memory."""
    told = choices or Choices()
    paths, evidence_paths = find_inputs(listed(captures)), find_evidence(history, ordered=False).paths
    known_by = _run(paths, evidence_paths, told)
    naming = _naming(told)
    _refuse_overwriting(told.records.dead_letter)
    _refuse_early(_sink(out, known_by, told))
    evidence, started = EvidenceReport(), time.perf_counter()
    known = load(history, cluster=told.cluster, report=evidence, progress=history_progress)
    loaded = time.perf_counter()
    # The history is here to stay: without this the collector walks its objects in the middle of the packets.
    gc.freeze()
    try:
        reader = Reader(known, naming, told, progress)
        source, summary, sink = _replayed(paths, reader, lambda: _sink(out, known_by, told))
    finally:
        gc.unfreeze()
    return Result(
        summary=summary,
        report=source.report,
        evidence=evidence,
        seconds={"history": loaded - started, "flows": time.perf_counter() - loaded},
        watched=tuple(known.history.cluster(naming.cluster).covered),
        files=sink.files,
        bytes_written=sink.bytes_written,
        table=sink.table() if isinstance(sink, MemorySink) else None,
    )


def replay(
    captures: Paths,
    history: Paths,
    out: str | os.PathLike[str] | None = None,
    *,
    cluster: str | None = None,
    networks: str | None = None,
    existing: str = "refuse",
    packets: PacketOptions | None = None,
    records: RecordFiles | None = None,
    naming: NamingOptions | None = None,
    identities: str | None = None,
) -> Any:
    """Name the flows of captures and flow logs by who held each address at that moment.

    Args: captures, history: a path, folder, glob, or several. out: a folder for Parquet files. existing: what becomes
        of files in it: "refuse" any, "append" to them, "replace" those of these captures, "replace-all".
        cluster: which cluster of the history. networks: TOML file of names for outside ranges.
        identities: TOML file of who issues SPIFFE ids.
    Returns: a pyarrow Table of whowas.schema.named_schema, or with `out` a pyarrow Dataset of the files;
        `.to_pandas()` works on the table and on `dataset.to_table()`.
    Raises: WhowasError. Warns: UnreadableWarning for each place that could not be read.
    """
    choices = Choices(
        cluster=cluster,
        networks=networks,
        existing=existing,
        packets=packets or PacketOptions(),
        records=records or RecordFiles(),
        naming=naming or NamingOptions(),
        identities=identities,
    )
    result = replay_captures(captures, history, None if out is None else os.fspath(out), choices)
    for one in [*result.report.files, *result.evidence.files]:
        for bad in one.unreadable:
            warnings.warn(f"'{one.path}' at byte {bad.offset}: {bad.reason}", UnreadableWarning, stacklevel=2)
    for reason, count in result.report.unread().most_common():
        warnings.warn(f"{count} packets could not be read, or in part: {reason}", UnreadableWarning, stacklevel=2)
    for reason, count in result.report.refused_records.most_common():
        warnings.warn(f"{count} records were refused: {reason}", UnreadableWarning, stacklevel=2)
    return result.table if out is None else open_flows(out)


def open_flows(folder: str | os.PathLike[str]) -> Any:
    """Open Parquet files written by a replay as a pyarrow Dataset, partitions as columns (whowas.schema.PARTITIONS)."""
    from whowas.batch.flow_files import dataset

    return dataset(folder)
