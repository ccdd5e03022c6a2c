"""Gives damaged inputs to every reader. Nothing but a WhowasError may come out of one.

As a program, `python -m support.fuzz --executions 1000000 --processes 2`: what fails is kept, with its seed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.fuzz_seeds import seeds_of
from support.mutate import mutated

from whowas.errors import WhowasError

# What a group of inputs may take: seconds of processor time, bytes beyond what the process took before.
SECONDS, BYTES = 20.0, 256 << 20


def _files(inputs: Sequence[bytes], folder: Path, name: str) -> list[str]:
    paths = [folder / f"{name}{number}" for number in range(len(inputs))]
    for path, data in zip(paths, inputs, strict=True):
        path.write_bytes(data)
    return [str(path) for path in paths]


def _captures(inputs: Sequence[bytes], folder: Path) -> None:
    """Several as one capture that was rotated: what follows packets is done once for all of them."""
    from ingest.packets import CaptureSource, PacketOptions

    options = PacketOptions(
        max_conversations=64, batch_rows=64, continuous=len(inputs) > 1, observe=("dns", "tls", "http")
    )
    for _ in CaptureSource(_files(inputs, folder, "capture"), options).batches():
        pass


def _records(inputs: Sequence[bytes], folder: Path) -> None:
    """As files that are recognised, or of a format that was told; mostly one file of several damaged parts."""
    from ingest.records import FORMATS, RecordFiles, RecordOptions, RecordSource
    from ingest.records.reader import UNREAD

    data = inputs[0]
    told = RecordOptions(timezone="Europe/Paris")
    form = sorted(FORMATS)[len(data) % len(FORMATS)] if len(data) & 64 else None
    parts = [b"".join(inputs)] if len(data) & 7 else inputs
    source = RecordSource(_files(parts, folder, "log"), RecordFiles(form, told))
    for _ in source.batches():
        pass
    assert UNREAD not in source.report.refused_records, "a reader failed, and the net below it caught that"


def _messages(inputs: Sequence[bytes], _folder: Path) -> None:
    """As messages of a topic, of each format in turn; here no net is below the readers."""
    from ingest.records import FORMATS, Ids, RecordOptions, reader_for

    data = inputs[0]
    values = [part for one in inputs for part in one.split(b"\n")] if len(data) & 1 else list(inputs)
    form = sorted(FORMATS)[len(data) % len(FORMATS)] if len(data) & 128 else None
    reader = reader_for(form, values, RecordOptions(timezone="UTC"))
    reader.read(values, Ids("here", np.arange(len(values))))


def _evidence(data: bytes, folder: Path) -> None:
    from ingest.cluster.evidence.lines import EvidenceReport
    from ingest.cluster.evidence.reader import in_order, read_observations, together, wrong
    from whowas.history.queries import load_history

    path = folder / "evidence"
    path.write_bytes(data)
    for group in together(in_order([str(path)])):
        for _ in read_observations(group, None, EvidenceReport()):
            pass
    wrong(str(path))
    if len(data) % 8 == 0:
        load_history([str(path)])


def _annotate(data: bytes, _folder: Path) -> None:
    from support.annotating import annotate

    from whowas.annotation.annotator import Choice
    from whowas.annotation.run import FORMATS, Form

    form = Form(FORMATS[len(data) % len(FORMATS)]) if len(data) & 32 else Form()
    choice = Choice(("id.orig_h", "src_ip", "0")) if len(data) & 64 else Choice()
    annotate(data, _known(), choice, form, pieces=1 << (len(data) % 12 + 4))


_KNOWN: list[object] = []


def _known() -> object:
    if not _KNOWN:
        from whowas.history.queries import load_history

        _KNOWN.append(load_history([str(Path(__file__).parents[2] / "samples/crafted/history.jsonl")]))
    return _KNOWN[0]


def _toml(data: bytes, folder: Path) -> None:
    from detect.judge.silences import Silences
    from detect.site import load_site
    from enrich.naming.networks import load_networks
    from whowas.config import load, load_kafka

    path = folder / "some.toml"
    path.write_bytes(data)
    for read in (load_site, load_networks, load, load_kafka, Silences.load):
        with contextlib.suppress(WhowasError):
            read(str(path))


def _sigma(data: bytes, folder: Path) -> None:
    from detect.sigma.loader import load

    path = folder / "rule.yml"
    path.write_bytes(data)
    for strict in (True, False):
        with contextlib.suppress(WhowasError):
            load(str(path), strict=strict)


def _parquet(data: bytes, folder: Path) -> None:
    from whowas.batch.flow_files import FlowFiles

    path = folder / "flows.parquet"
    path.write_bytes(data)
    for batch, _ in FlowFiles.find(str(folder)).batches():
        batch.to_pylist()


def _each(feed: Callable[[bytes, Path], None]) -> Callable[[Sequence[bytes], Path], None]:
    def feed_each(inputs: Sequence[bytes], folder: Path) -> None:
        for data in inputs:
            feed(data, folder)

    return feed_each


@dataclass(frozen=True)
class Feed:
    """How a reader is fed. together: inputs that it takes at once. job: how many are about half a second's work."""

    give: Callable[[Sequence[bytes], Path], None]
    together: int
    job: int


FEEDS: dict[str, Feed] = {
    "captures": Feed(_captures, 16, 1024),
    "records": Feed(_records, 16, 512),
    "messages": Feed(_messages, 16, 1024),
    "evidence": Feed(_each(_evidence), 1, 384),
    "annotate": Feed(_each(_annotate), 1, 512),
    "toml": Feed(_each(_toml), 1, 384),
    "sigma": Feed(_each(_sigma), 1, 256),
    "parquet": Feed(_each(_parquet), 1, 256),
}
# Inputs with neighbouring seeds are made of one good input: damaged parts of one story.
FAMILY = 16


@dataclass(frozen=True)
class Fault:
    """An input that let an error out, or took too much. told: the error's last lines."""

    reader: str
    seed: int
    data: bytes
    told: str


class TooSlowError(BaseException):
    """No Exception: nothing below may catch it."""


def damaged(reader: str, seed: int) -> bytes:
    """Return the input that a seed stands for."""
    seeds, chance = seeds_of(reader), random.Random(seed)
    good = seeds[random.Random(seed // FAMILY).randrange(len(seeds))]
    return mutated(good, seeds, chance)


def executions(reader: str, first: int, count: int, folder: Path, guarded: bool = False) -> Iterator[Fault]:
    """Feed so many inputs, of the seeds from `first` on; yield those that let an error out.

    guarded: those too that take too much time or memory; kernels must have been compiled.
    """
    together = FEEDS[reader].together
    seeds = range(first, first + count)
    for low in range(0, count, together):
        group = [(seed, damaged(reader, seed)) for seed in seeds[low : low + together]]
        yield from _fed(reader, group, folder, guarded)


def _fed(reader: str, group: list[tuple[int, bytes]], folder: Path, guarded: bool) -> Iterator[Fault]:
    """An error ends a whole group: each input of it is then fed alone."""
    give = FEEDS[reader].give
    error, told = _error(lambda: give([data for _, data in group], folder), guarded)
    if error is None:
        return
    if len(group) > 1:
        found = [fault for one in group for fault in _fed(reader, [one], folder, guarded)]
        yield from found
        if found:
            return
    if not isinstance(error, WhowasError):
        yield Fault(reader, group[0][0], b"\n--- next ---\n".join(data for _, data in group), told)


def _error(call: Callable[[], None], guarded: bool) -> tuple[BaseException | None, str]:
    """Return what comes out of a call, and its last lines."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), _limit(guarded):
            warnings.simplefilter("ignore")
            call()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        if guarded and grown > BYTES:
            raise MemoryError(f"it took more than {BYTES >> 20} MiB")
    except (Exception, TooSlowError) as error:  # noqa: BLE001 - this is what is looked for
        return error, "".join(traceback.format_exc().splitlines(keepends=True)[-4:])
    return None, ""


@contextlib.contextmanager
def _limit(guarded: bool) -> Iterator[None]:
    """Interrupt what takes too long, by the processor's time: the machine may be busy."""

    def interrupt(*_: object) -> None:
        raise TooSlowError(f"it took more than {SECONDS:g} s")

    if not guarded:
        yield
        return
    signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


_WARM: set[str] = set()


def _soak(job: tuple[str, int, int]) -> tuple[str, int, list[Fault]]:
    reader, first, count = job
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        if reader not in _WARM:
            # What is loaded and compiled once is no input's doing.
            _WARM.add(reader)
            for data in seeds_of(reader):
                _error(functools.partial(FEEDS[reader].give, [data], folder), guarded=False)
        return reader, count, list(executions(reader, first, count, folder, guarded=True))


def _jobs(readers: Sequence[str], inputs: int, seed: int) -> Iterator[tuple[str, int, int]]:
    """Yield jobs for all readers in turn: each has the same time, so that quick ones get more inputs."""
    first = -(-seed // FAMILY) * FAMILY
    while inputs > 0:
        for one in readers:
            count = min(FEEDS[one].job, max(inputs, 0))
            yield one, first, count
            inputs -= count
        first += max(FEEDS[one].job for one in readers)


def main() -> int:
    """Run the soak. Returns: 1 where something was found."""
    words = argparse.ArgumentParser()
    words.add_argument("--executions", type=int, default=1_000_000)
    words.add_argument("--processes", type=int, default=2)
    words.add_argument("--seed", type=int, default=time.time_ns() // 10**6 % 10**9)
    words.add_argument("--only", default="")
    words.add_argument("--minutes", type=float, default=1e9)
    words.add_argument("--keep", default="out/fuzz")
    told = words.parse_args()
    readers = [one for one in FEEDS if not told.only or one in told.only.split(",")]
    jobs = _jobs(readers, told.executions, told.seed)
    done: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    began = shown = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(told.processes) as pool:
        for reader, count, faults in pool.imap_unordered(_soak, jobs):
            done[reader] += count
            for one in faults:
                _keep(one, Path(told.keep), kinds)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                rate = done.total() / (shown - began)
                print(
                    f"seed {told.seed}: {done.total():,} executions, {rate:,.0f} a second, {len(kinds)} kinds",
                    flush=True,
                )
            if time.monotonic() - began > told.minutes * 60:
                pool.terminate()
                break
    print(f"seed {told.seed}: {done.total():,} executions {dict(done)}; found {dict(kinds)}")
    return 1 if kinds else 0


def _keep(fault: Fault, folder: Path, kinds: Counter[str]) -> None:
    kind = f"{fault.reader}: {fault.told.splitlines()[-1][:120]}"
    kinds[kind] += 1
    if kinds[kind] == 1:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{fault.reader}-{fault.seed}").write_bytes(fault.data)
        print(f"--- {fault.reader}, seed {fault.seed}, kept in {folder}\n{fault.told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
