"""Gives damaged inputs to every reader. Nothing but a WhowasError may come out of one.

As a program, `python -m support.fuzz --executions 1000000 --processes 2`: what fails is kept, with its seed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.fuzz_seeds import seeds_of
from support.mutate import mutated

from whowas.errors import WhowasError

Feed = Callable[[bytes, Path], None]
BATCH = 40


def _capture(data: bytes, folder: Path) -> None:
    from ingest.packets import CaptureSource, PacketOptions

    path = folder / "capture"
    path.write_bytes(data)
    for _ in CaptureSource([str(path)], PacketOptions(max_conversations=64, batch_rows=64)).batches():
        pass


def _records(data: bytes, folder: Path) -> None:
    """As a file that is recognised, or of a format that was told."""
    from ingest.records import FORMATS, RecordFiles, RecordOptions, RecordSource

    path = folder / "log"
    path.write_bytes(data)
    told = RecordOptions(timezone="Europe/Paris")
    form = sorted(FORMATS)[len(data) % len(FORMATS)] if len(data) & 64 else None
    for _ in RecordSource([str(path)], RecordFiles(form, told)).batches():
        pass


def _messages(data: bytes, _folder: Path) -> None:
    """As messages of a topic, of each format in turn; here no net is below the readers."""
    from ingest.records import FORMATS, Ids, RecordOptions, reader_for

    values = data.split(b"\n") if len(data) & 1 else [data]
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
    load_history([str(path)])


def _annotate(data: bytes, _folder: Path) -> None:
    from support.annotating import annotate

    from whowas.annotation.annotator import Choice
    from whowas.annotation.run import FORMATS, Form

    form = Form(FORMATS[len(data) % len(FORMATS)]) if len(data) & 32 else Form()
    choice = Choice(("id.orig_h", "src_ip", "0"), None) if len(data) & 64 else Choice()
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
    for read in (load_site, load_networks, load, load_kafka, Silences):
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


FEEDS: dict[str, Feed] = {
    "captures": _capture,
    "records": _records,
    "messages": _messages,
    "evidence": _evidence,
    "annotate": _annotate,
    "toml": _toml,
    "sigma": _sigma,
    "parquet": _parquet,
}


@dataclass(frozen=True)
class Fault:
    """An input that let an error out. told: its last lines."""

    reader: str
    seed: int
    data: bytes
    told: str


def executions(reader: str, first: int, count: int, folder: Path) -> Iterator[Fault]:
    """Feed so many inputs, of the seeds from `first` on; yield those that let an error out."""
    seeds = seeds_of(reader)
    feed = FEEDS[reader]
    for seed in range(first, first + count):
        chance = random.Random(seed)
        data = mutated(chance.choice(seeds), seeds, chance)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                feed(data, folder)
        except WhowasError:
            pass
        except Exception:  # noqa: BLE001 - this is what is looked for
            yield Fault(reader, seed, data, "".join(traceback.format_exc().splitlines(keepends=True)[-4:]))


def _soak(job: tuple[str, int, int]) -> tuple[str, int, list[Fault]]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        return job[0], job[2], list(executions(*job, Path(folder)))


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
    rounds = -(-told.executions // (BATCH * len(readers)))
    jobs = ((one, told.seed + number * BATCH, BATCH) for number in range(rounds) for one in readers)
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
